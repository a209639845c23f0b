import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import type { Token } from "../token.ts";
import type { Edit, Fix } from "./finding.ts";
import { isField, type View } from "./view.ts";

/** A directive to set in a location: its own is replaced, else a line is added beside the `…_pass`. */
export function setInLocation(view: View, name: string, value: string): Fix {
  const own = view.location.last(name);
  const edit = own === undefined ? insertBeside(view, `${name} ${value};`) : replaceValue(own, value);
  return { edits: edit === undefined ? [] : [edit], changes: [name] };
}

/** Several of `setInLocation` at once. */
export function setAll(view: View, values: Readonly<Record<string, string>>): Fix {
  const fixes = Object.entries(values).map(([name, value]) => setInLocation(view, name, value));
  return { edits: fixes.flatMap(({ edits }) => edits), changes: fixes.flatMap(({ changes }) => changes) };
}

/** A field for the backend: the location's own is replaced, else a line is added beside the `…_pass`. */
export function setRequestField(view: View, field: string, value: string): Fix {
  const own = view.location.own("proxy_set_header").findLast(({ args }) => isField(args[0], field));
  const word = own?.words[2];
  const edit =
    word === undefined ? insertBeside(view, `proxy_set_header ${field} ${value};`) : replaceWord(word, value);
  return { edits: edit === undefined ? [] : [edit], changes: ["proxy_set_header"] };
}

/** Puts other arguments in the place of a directive's. */
export function replaceValue(directive: Directive, value: string): Edit {
  const { file } = directive;
  const [first] = directive.words.slice(1);
  const last = directive.words.at(-1);
  if (first === undefined || last === undefined)
    return { file, from: directive.end, to: directive.end, text: "" };
  return { file, from: first.start, to: last.end, text: value };
}

/** Puts another word in the place of one. */
export const replaceWord = ({ file, start, end }: Token, text: string): Edit => ({
  file,
  from: start,
  to: end,
  text,
});

/** Takes a word and the blanks before it away. */
export function removeWord({ file, start, end }: Token): Edit {
  const before = /\s*$/.exec(file.slice(file.lineStart(start), start))?.[0].length ?? 0;
  return { file, from: start - before, to: end, text: "" };
}

/** Adds an argument at the end of a directive. */
export function appendWord(directive: Directive, word: string): Edit {
  const end = directive.words.at(-1)?.end ?? directive.end;
  return { file: directive.file, from: end, to: end, text: ` ${word}` };
}

/** Takes a directive away, with its line where nothing else stands on it. */
export function removeDirective({ file, start, end }: Directive): Edit {
  const lineStart = file.lineStart(start);
  const lineEnd = file.lineEnd(end);
  const isAlone = file.slice(lineStart, start).trim() === "" && file.slice(end, lineEnd).trim() === "";
  if (isAlone) return { file, from: lineStart, to: Math.min(lineEnd + 1, file.text.length), text: "" };
  const blanks = /^[ \t]*/.exec(file.slice(end, lineEnd))?.[0].length ?? 0;
  return { file, from: start, to: end + blanks, text: "" };
}

/** Whether a repeated directive can go without bringing those of outer levels back into force. */
export const canRemove = (directive: Directive, level: Level | undefined): boolean =>
  level !== undefined &&
  (level.own(directive.name).length > 1 ||
    [...level.outward()].slice(1).every((outer) => outer.own(directive.name).length === 0));

/** Adds a line behind a directive, as it is indented. */
export function insertAfter(anchor: Directive, text: string): Edit {
  const { file, start, end } = anchor;
  const lineEnd = file.lineEnd(end);
  const rest = file.slice(end, lineEnd);
  if (!/^\s*(?:#.*)?$/.test(rest)) return { file, from: end, to: end, text: ` ${text}` };
  const hasReturn = rest.endsWith("\r");
  const at = hasReturn ? lineEnd - 1 : lineEnd;
  return { file, from: at, to: at, text: `${hasReturn ? "\r\n" : "\n"}${file.indentation(start)}${text}` };
}

/** Adds a line in the location itself; undefined in a fragment that shows neither it nor anything in it. */
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
