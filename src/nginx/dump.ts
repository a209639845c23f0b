import { type ConfigurationFiles, FileFault } from "./files.ts";
import { matchesGlob } from "./glob.ts";

const MARKER = /^# configuration file (\S.*):\r?$/;

/** Returns the files in an output of `nginx -T`, in its order; undefined for any other text. */
export function splitDump(text: string): ReadonlyMap<string, string> | undefined {
  const lines = text.split("\n");
  // With stderr in the same file, `nginx: the configuration file … syntax is ok` comes first.
  const first = lines.findIndex((line) => line.trim() !== "" && !line.startsWith("nginx: "));
  if (first < 0 || !MARKER.test(lines[first] ?? "")) return undefined;
  const files = new Map<string, string>();
  let name = "";
  let start = first;
  const keep = (end: number) => {
    // nginx adds one line break after each file.
    if (name !== "" && !files.has(name)) files.set(name, lines.slice(start, end).join("\n"));
  };
  for (let at = first; at < lines.length; at += 1) {
    const found = MARKER.exec(lines[at] ?? "")?.[1];
    if (found === undefined) continue;
    keep(at);
    name = found;
    start = at + 1;
  }
  keep(lines.length);
  return files;
}

/** The files of a dump as a source of configuration files. */
export class DumpFiles implements ConfigurationFiles {
  readonly isWritable = false;
  readonly #files: ReadonlyMap<string, string>;

  constructor(files: ReadonlyMap<string, string>) {
    this.#files = files;
  }

  shownPath(path: string): string {
    return path;
  }

  read(path: string, maxBytes: number): string {
    const text = this.#files.get(path);
    if (text === undefined) throw new FileFault("is not in the dump", true);
    if (text.length > maxBytes) throw new FileFault(`has more bytes than the limit leaves (${maxBytes})`);
    return text;
  }

  glob(pattern: string): readonly string[] {
    const parts = pattern.split("/");
    const matches = (path: string) => {
      const names = path.split("/");
      return names.length === parts.length && names.every((name, at) => matchesGlob(name, parts[at] ?? ""));
    };
    return [...this.#files.keys()].filter(matches).toSorted();
  }
}
