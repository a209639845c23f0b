import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import type { Token } from "../token.ts";
import type { Edit, Fix } from "./finding.ts";
import { isField, type View } from "./view.ts";

/** Sets a directive in a location: replaces the location's own, else adds a line after the `…_pass`. */
export function setInLocation(view: View, name: string, value: string): Fix {
  const own = view.location.last(name);
  const edit = own === undefined ? insertBeside(view, `${name} ${value};`) : replaceValue(own, value);
  return { edits: edit === undefined ? [] : [edit], changes: [name] };
}

/** Sets several directives as `setInLocation` does. */
export function setAll(view: View, values: Readonly<Record<string, string>>): Fix {
  const fixes = Object.entries(values).map(([name, value]) => setInLocation(view, name, value));
  return { edits: fixes.flatMap(({ edits }) => edits), changes: fixes.flatMap(({ changes }) => changes) };
}

/**
 * Sets a request field. Replaces the location's own line; else adds a line, together with all lines that the
 * location inherits, because nginx ignores inherited lines as soon as the location has one of its own.
 */
export function setRequestField(view: View, field: string, value: string): Fix {
  return setRequestFields(view, { [field]: value });
}

/** Sets several request fields as `setRequestField` does. */
export function setRequestFields(view: View, fields: Readonly<Record<string, string>>): Fix {
  const { directives, level } = view.all("proxy_set_header");
  const own = level === view.location ? directives : [];
  const edits: (Edit | undefined)[] = [];
  for (const [field, value] of Object.entries(fields)) {
    const word = own.findLast(({ args }) => isField(args[0], field))?.words[2];
    const line = `proxy_set_header ${field} ${value};`;
    edits.push(word === undefined ? insertBeside(view, line) : replaceWord(word, value));
  }
  const inherited = level === view.location ? [] : directives;
  for (const directive of inherited) {
    const isSet = Object.keys(fields).some((field) => isField(directive.args[0], field));
    if (!isSet) edits.push(insertBeside(view, rawText(directive)));
  }
  return { edits: edits.filter((edit) => edit !== undefined), changes: ["proxy_set_header"] };
}

/** Returns a directive as written, without a block. */
export const rawText = ({ words }: Directive): string => `${words.map(({ raw }) => raw).join(" ")};`;

/** Joins several fixes into one. */
export const together = (...fixes: readonly (Fix | undefined)[]): Fix => ({
  edits: fixes.flatMap((fix) => fix?.edits ?? []),
  changes: [...new Set(fixes.flatMap((fix) => fix?.changes ?? []))],
});

/** Replaces the arguments of a directive. */
export function replaceValue(directive: Directive, value: string): Edit {
  const { file } = directive;
  const [first] = directive.words.slice(1);
  const last = directive.words.at(-1);
  if (first === undefined || last === undefined)
    return { file, from: directive.end, to: directive.end, text: "" };
  return { file, from: first.start, to: last.end, text: value };
}

/** Replaces a word. */
export const replaceWord = ({ file, start, end }: Token, text: string): Edit => ({
  file,
  from: start,
  to: end,
  text,
});

/** Removes a word and the blanks before it. */
export function removeWord({ file, start, end }: Token): Edit {
  const before = /\s*$/.exec(file.slice(file.lineStart(start), start))?.[0].length ?? 0;
  return { file, from: start - before, to: end, text: "" };
}

/** Adds an argument at the end of a directive. */
export function appendWord(directive: Directive, word: string): Edit {
  const end = directive.words.at(-1)?.end ?? directive.end;
  return { file: directive.file, from: end, to: end, text: ` ${word}` };
}

/** Removes a directive; also its line, if that has nothing else. */
export function removeDirective({ file, start, end }: Directive): Edit {
  const lineStart = file.lineStart(start);
  const lineEnd = file.lineEnd(end);
  const isAlone = file.slice(lineStart, start).trim() === "" && file.slice(end, lineEnd).trim() === "";
  if (isAlone) return { file, from: lineStart, to: Math.min(lineEnd + 1, file.text.length), text: "" };
  const blanks = /^[ \t]*/.exec(file.slice(end, lineEnd))?.[0].length ?? 0;
  return { file, from: start, to: end + blanks, text: "" };
}

/** Whether a repeated directive can be removed without making those of outer levels effective again. */
export const canRemove = (directive: Directive, level: Level | undefined): boolean =>
  level !== undefined &&
  (level.own(directive.name).length > 1 ||
    [...level.outward()].slice(1).every((outer) => outer.own(directive.name).length === 0));

/** Adds a line after a directive, with the same indentation. */
export function insertAfter(anchor: Directive, text: string): Edit {
  const { file, start, end } = anchor;
  const lineEnd = file.lineEnd(end);
  const hasReturn = lineEnd > end && file.slice(lineEnd - 1, lineEnd) === "\r";
  const at = hasReturn ? lineEnd - 1 : lineEnd;
  if (!/^[ \t]*(?:#.*)?$/.test(file.slice(end, at))) return { file, from: end, to: end, text: ` ${text}` };
  return { file, from: at, to: at, text: `${hasReturn ? "\r\n" : "\n"}${file.indentation(start)}${text}` };
}

/** Adds lines and an empty line before a directive, with the same indentation. */
export function insertBefore({ file, start }: Directive, text: string): Edit {
  const indentation = file.indentation(start);
  const lines = text.split("\n").map((line, at) => (line === "" || at === 0 ? line : indentation + line));
  return { file, from: start, to: start, text: `${lines.join("\n")}\n${indentation}` };
}

/** Adds a line in the location itself; undefined if the fragment shows no place for it. */
function insertBeside({ location, target }: View, text: string): Edit | undefined {
  if (location.directives.includes(target.directive)) return insertAfter(target.directive, text);
  return insertInBlock(location, text);
}

/** Adds a line at the start of a block. */
export function insertInBlock({ directive, directives }: Level, text: string): Edit | undefined {
  const [first] = directives.filter(({ file }) => directive === undefined || file === directive.file);
  if (first !== undefined && (directive?.opened ?? 0) <= first.start) {
    const { file, start } = first;
    const isAlone = file.slice(file.lineStart(start), start).trim() === "";
    const blank = isAlone ? `\n${file.indentation(start)}` : " ";
    return { file, from: start, to: start, text: `${text}${blank}` };
  }
  if (directive?.opened === undefined) return undefined;
  return { file: directive.file, from: directive.opened, to: directive.opened, text: ` ${text} ` };
}
