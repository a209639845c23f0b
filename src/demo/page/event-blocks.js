/**
 * Reads an event stream from `fetch`, for cases where EventSource does not work: a POST, or a stream that ends. `onBytes`
 * gets the length of each chunk.
 */
export async function* eventBlocks(response, onBytes = () => {}) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of chunks(response.body)) {
    onBytes(bytes.length);
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const block = parse(part);
      if (block.data !== undefined) yield block;
    }
  }
}

/** Yields the chunks of a body; not every browser can iterate a body itself. */
async function* chunks(body) {
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel();
  }
}

/** Parses a block. The demo's backends send one data line per event; a line that begins with a colon is a comment. */
function parse(text) {
  const block = { event: "message" };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) block[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  return block;
}
