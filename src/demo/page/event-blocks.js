/** Reads an event stream from `fetch`, for what EventSource cannot do: POST, and an end that is the end; `onBytes` is told how much comes. */
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

/** Not every browser can iterate a body yet. */
async function* chunks(body) {
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel();
  }
}

/** Our backends send one data line an event. Lines that begin with a colon are comments. */
function parse(text) {
  const block = { event: "message" };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) block[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  return block;
}
