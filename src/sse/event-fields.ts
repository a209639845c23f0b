const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const EMPTY_LINE = Buffer.from("\n\n");

/** The fields of an event block that sluice needs, parsed as in WHATWG HTML, section 9.2.6. */
export interface EventFields {
  /** The block's last id, bytes as latin1; undefined without one. An id with NUL is ignored. */
  readonly id: string | undefined;
  /** The reconnection time that it sets, in ms; undefined without one. */
  readonly retry: number | undefined;
  /** Whether it has only `retry` fields and comments: such a block is not an event, and no history keeps it. */
  readonly isRetryOnly: boolean;
}

/** Whether the bytes are one event block as `BlockSplitter` returns it: at least one field, and a single empty line, at the end. */
export function isEventBlock(bytes: Buffer): boolean {
  const end = bytes.length;
  // Most blocks have LF line ends and begin with a field: for them, two native searches suffice.
  if (bytes[0] !== COLON && bytes[0] !== LF && !bytes.includes(CR)) {
    return end > 2 && bytes.indexOf(EMPTY_LINE) === end - EMPTY_LINE.length;
  }
  let hasField = false;
  let isEnded = false;
  let isWhole = true;
  eachLine(bytes, (from, to, next) => {
    if (isEnded) isWhole = false;
    else if (from === to && next > to) isEnded = true;
    else if (bytes[from] !== COLON) hasField = true;
  });
  return hasField && isEnded && isWhole;
}

/** Parses an event block. */
export function readEventFields(block: Buffer): EventFields {
  let id: string | undefined;
  let retry: number | undefined;
  let isRetryOnly = true;
  eachLine(block, (from, to) => {
    if (from === to || block[from] === COLON) return;
    const [name, value] = field(block, from, to);
    if (name === "retry") {
      if (/^\d{1,15}$/.test(value)) retry = Number(value);
      return;
    }
    isRetryOnly = false;
    if (name === "id" && !value.includes("\0")) id = value;
  });
  return { id, retry, isRetryOnly };
}

/** Returns the block without its `id` lines; the block itself if it has none. */
export function withoutId(block: Buffer): Buffer {
  const kept: Buffer[] = [];
  eachLine(block, (from, to, next) => {
    const isId = from !== to && field(block, from, to)[0] === "id";
    if (!isId) kept.push(block.subarray(from, next));
  });
  const length = kept.reduce((sum, line) => sum + line.length, 0);
  return length === block.length ? block : Buffer.concat(kept, length);
}

/** An event as the script of a page gets it. */
export interface ReadEvent {
  /** The event type; `message` without one. */
  readonly event: string;
  readonly data: string;
}

/** Parses type and data of an event block; undefined if it has no data, because a client then dispatches no event. */
export function readEvent(block: Buffer): ReadEvent | undefined {
  let event = "";
  const data: string[] = [];
  eachLine(block, (from, to) => {
    if (from === to || block[from] === COLON) return;
    const [name, value] = field(block, from, to);
    if (name === "event") event = utf8(value);
    else if (name === "data") data.push(utf8(value));
  });
  if (data.length === 0) return undefined;
  return { event: event === "" ? "message" : event, data: data.join("\n") };
}

const utf8 = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");

/** Calls `visit` for each line with its start, the end of its text, and the start of the next line. */
function eachLine(block: Buffer, visit: (from: number, to: number, next: number) => void): void {
  let from = 0;
  for (let at = 0; at < block.length; at++) {
    const byte = block[at];
    if (byte !== LF && byte !== CR) continue;
    const next = byte === CR && block[at + 1] === LF ? at + 2 : at + 1;
    visit(from, at, next);
    from = next;
    at = next - 1;
  }
  if (from < block.length) visit(from, block.length, block.length);
}

/** Returns the name and value of a line, bytes as latin1. */
function field(block: Buffer, from: number, to: number): [name: string, value: string] {
  // Not `indexOf`: without a colon in this line it would search all lines that follow.
  let colon = from;
  while (colon < to && block[colon] !== COLON) colon += 1;
  const start = block[colon + 1] === SPACE && colon + 1 < to ? colon + 2 : Math.min(colon + 1, to);
  return [block.toString("latin1", from, colon), block.toString("latin1", start, to)];
}
