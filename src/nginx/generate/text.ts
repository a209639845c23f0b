/** A directive, with its reason as a comment above. */
export interface Line {
  readonly text: string;
  readonly why?: string | undefined;
}

/** A block, with its reason as a comment above. */
export interface Block {
  readonly opening: string;
  readonly why?: string | undefined;
  readonly body: readonly Entry[];
}

export type Entry = Line | Block;

const INDENT = "    ";
const WIDTH = 110;

/** Returns the text of a configuration, with the reasons as comments. */
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

/** Returns the same entries without their reasons. */
export function unexplained(entries: readonly Entry[]): Entry[] {
  return entries.map((entry) =>
    "opening" in entry ? { opening: entry.opening, body: unexplained(entry.body) } : { text: entry.text },
  );
}

/** Wraps a text into comment lines of at most `WIDTH` characters. */
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

/** Whether a word is a single placeholder of a template. */
export const isOpen = (text: string): boolean => /^\$\{[A-Z][A-Z0-9_]*\}$/.test(text);

/** Quotes a word if nginx gives one of its characters a meaning. */
export function word(text: string): string {
  if (isOpen(text) || /^[^\s;{}"'\\#$]+$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Escapes a text for a regular expression that matches exactly this text. */
export const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
