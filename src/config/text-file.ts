import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { SourcePosition } from "./problem.ts";

/** The largest file that is read: an apps.yaml of 10,000 apps has 2 MiB. A larger file is the wrong one. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** A buffer of the largest size for each file would be most of the time to read 1,000 routes. */
const CHUNK = Buffer.allocUnsafeSlow(64 * 1024);

/** A problem of a file's bytes, and its place. */
export interface TextProblem {
  readonly message: string;
  readonly at?: SourcePosition;
}

/** The paths that `noteReads` collects; undefined outside of it. */
let noted: Set<string> | undefined;

/** Runs `read`, which must be synchronous, and returns its value and the paths of the files that it tried to read. */
export function noteReads<T>(read: () => T): { readonly value: T; readonly paths: readonly string[] } {
  const paths = new Set<string>();
  noted = paths;
  try {
    return { value: read(), paths: [...paths] };
  } finally {
    noted = undefined;
  }
}

/** Reads a small UTF-8 file, or returns a problem; never throws and never blocks. */
export function readTextFile(path: string): { readonly text: string } | { readonly problem: TextProblem } {
  noted?.add(path);
  let bytes: Buffer | string;
  try {
    bytes = readRegularFile(path);
  } catch (error) {
    return { problem: { message: describeSystemError(error) } };
  }
  return typeof bytes === "string" ? { problem: { message: bytes } } : decodeText(bytes);
}

function readRegularFile(path: string): Buffer | string {
  // Without O_NONBLOCK, opening a FIFO could wait for a writer for ever.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) return "expected a file, but it is a directory";
    if (!stat.isFile()) return "expected a regular file";
    const parts: Buffer[] = [];
    let length = 0;
    for (let read = readSync(fd, CHUNK); read > 0; read = readSync(fd, CHUNK)) {
      length += read;
      if (length > MAX_FILE_BYTES) return "expected at most 4 MiB";
      parts.push(Buffer.from(CHUNK.subarray(0, read)));
    }
    return Buffer.concat(parts);
  } finally {
    closeSync(fd);
  }
}

/** Decodes UTF-8 and removes a byte order mark; refuses control characters, because editors do not show them. */
export function decodeText(bytes: Buffer): { readonly text: string } | { readonly problem: TextProblem } {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const lossy = bytes.toString("utf8");
    return { problem: { message: "expected UTF-8", at: positionOf(lossy, lossy.indexOf("\ufffd")) } };
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const control = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.exec(text);
  if (control === null) return { text };
  const name = control[0] === "\0" ? "NUL" : "control character";
  return { problem: { message: `expected no ${name}`, at: positionOf(text, control.index) } };
}

function positionOf(text: string, offset: number): SourcePosition {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

const EXPLAINED: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "expected a directory",
  EACCES: "permission denied",
  EPERM: "permission denied",
  ELOOP: "too many levels of symbolic links",
  ENXIO: "expected a regular file",
};

/** Returns a file-system error in words, without its path. */
export function describeSystemError(error: unknown): string {
  const { code = "", message = String(error) } = error as NodeJS.ErrnoException;
  return EXPLAINED[code] ?? `cannot be read (${code || message})`;
}
