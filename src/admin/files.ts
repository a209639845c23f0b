import { readFileSync } from "node:fs";
import { browserLibrary } from "../base/browser-libraries.ts";

/** A file of the dashboard. */
export interface AdminFile {
  readonly body: Buffer;
  readonly type: string;
}

const HTML = "text/html; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

const SCRIPTS = [
  ...["main", "chart", "end-stream", "ends", "format", "health"],
  ...["overview", "rows", "streams", "tables", "words"],
];
const STYLES = ["style", "layout", "health", "controls", "tables", "cards"];

/** The dashboard, and the page for a browser that is not signed in. */
export const PAGE = "index.html";
export const SIGN_IN = "sign-in.html";

const SOURCES: readonly (readonly [path: string, file: URL, type: string])[] = [
  [PAGE, own(PAGE), HTML],
  [SIGN_IN, own(SIGN_IN), HTML],
  ...STYLES.map((name) => [`/page/${name}.css`, own(`${name}.css`), STYLE] as const),
  ...SCRIPTS.map((name) => [`/page/${name}.js`, own(`${name}.js`), SCRIPT] as const),
  ["/page/lib/uplot.js", browserLibrary("uplot.js"), SCRIPT],
  ["/page/lib/uplot.css", browserLibrary("uplot.css"), STYLE],
];

let files: ReadonlyMap<string, AdminFile> | undefined;

/**
 * Returns the dashboard's files by path. They are kept in memory, so that the page opens at the limit of open files
 * too.
 */
export function adminFiles(): ReadonlyMap<string, AdminFile> {
  files ??= new Map(SOURCES.map(([path, file, type]) => [path, { body: readFileSync(file), type }]));
  return files;
}

function own(name: string): URL {
  return new URL(`page/${name}`, import.meta.url);
}
