/**
 * Finds the `}` that ends a Lua block by Lua's rules: braces in a string, a long bracket (`[[ ]]`, `[=[ ]=]`) or
 * a comment do not count. Returns the offset of that `}`, undefined if it is missing.
 *
 * After the `{` of a `*_by_lua_block` the Lua module reads the file in place of nginx.
 */
export function endOfLua(text: string, start: number): number | undefined {
  let depth = 1;
  let at = start;
  while (at < text.length) {
    const character = text[at];
    if (character === "-" && text[at + 1] === "-") {
      at = endOfComment(text, at + 2);
    } else if (character === "[") {
      at = endOfLongBracket(text, at) ?? at + 1;
    } else if (character === '"' || character === "'") {
      at = endOfString(text, at);
    } else {
      if (character === "{") depth += 1;
      if (character === "}") depth -= 1;
      if (depth === 0) return at;
      at += 1;
    }
  }
  return undefined;
}

const endOfComment = (text: string, start: number): number =>
  endOfLongBracket(text, start) ?? endOfLine(text, start);

function endOfLine(text: string, start: number): number {
  const end = text.indexOf("\n", start);
  return end < 0 ? text.length : end;
}

/** Returns the offset after `]=*]`, or the end of the text without it; undefined if no long bracket starts here. */
function endOfLongBracket(text: string, start: number): number | undefined {
  if (text[start] !== "[") return undefined;
  let at = start + 1;
  while (text[at] === "=") at += 1;
  if (text[at] !== "[") return undefined;
  const closing = `]${"=".repeat(at - start - 1)}]`;
  const end = text.indexOf(closing, at + 1);
  return end < 0 ? text.length : end + closing.length;
}

/** Returns the offset after a string: after its quote, or at the line's end, where Lua would refuse it. */
function endOfString(text: string, start: number): number {
  const quote = text[start];
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === quote || text[at] === "\n") return at + 1;
  }
  return text.length;
}
