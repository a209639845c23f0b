import type { SourceFile } from "./source-file.ts";

const MARK = /\{\{|\{%|<%|^[ \t]*%\w{1,64}%[ \t]*$/;

/**
 * Returns the offset of a template engine's mark (`{{ }}`, `{% %}`, `<% %>`, a line of `%NAME%`), undefined
 * without any. Comment lines are ignored.
 */
export function findTemplateMark(file: SourceFile): number | undefined {
  for (let start = 0; start <= file.text.length; ) {
    const end = file.lineEnd(start);
    const line = file.slice(start, end);
    const found = /^[ \t]*#/.test(line) ? null : MARK.exec(line);
    if (found !== null) return start + found.index;
    start = end + 1;
  }
  return undefined;
}
