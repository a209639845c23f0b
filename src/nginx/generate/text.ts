/** A directive, with the reason for it as a comment above. */
export interface Line {
  readonly text: string;
  readonly why?: string | undefined;
}

/** A block, with the reason for it as a comment above. */
export interface Block {
  readonly opening: string;
  readonly why?: string | undefined;
  readonly body: readonly Entry[];
}

export type Entry = Line | Block;

const INDENT = "    ";
const WIDTH = 110;

/** The text of a configuration; without reasons the comments are left out. */
export function render(entries: readonly Entry[], depth = 0): string {
  const indent = INDENT.repeat(depth);
  return entries
    .map((entry, at) => {
      const gap = at > 0 && (entry.why !== undefined || "opening" in entry) ? "\n" : "";
      const why = entry.why === undefined ? "" : comment(entry.why, indent);
      if (!("opening" in entry)) return `${gap}${why}${indent}${entry.text};\n`;
      return `${gap}${why}${indent}${entry.opening} {\n${render(entry.body, depth + 1)}${indent}}\n`;
    })
    .join("");
}

/** The same entries without their reasons. */
export function unexplained(entries: readonly Entry[]): Entry[] {
  return entries.map((entry) =>
    "opening" in entry ? { opening: entry.opening, body: unexplained(entry.body) } : { text: entry.text },
  );
}

/** Comment lines of at most `WIDTH` characters. */
export function comment(text: string, indent = ""): string {
  const lines: string[] = [];
  let line = "#";
  for (const word of text.split(" ")) {
    if (indent.length + line.length + 1 + word.length > WIDTH && line !== "#") {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line].map((each) => `${indent}${each}\n`).join("");
}

/** A word that a template engine is to fill in whole. */
export const isOpen = (text: string): boolean => /^\$\{[A-Z][A-Z0-9_]*\}$/.test(text);

/** A word as nginx reads it: in quotes where a character in it would end or begin something. */
export function word(text: string): string {
  if (isOpen(text) || /^[^\s;{}"'\\#$]+$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** A text as a regular expression that matches it alone. */
export const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
