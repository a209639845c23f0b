/** The head of a request at the backend, field by field and byte by byte. */
export interface RequestHead {
  /** All bytes up to and including the empty line. */
  readonly raw: Buffer;
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** The fields in order and as sent; bytes as latin1. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

type Framing = { kind: "none" } | { kind: "length"; left: number } | { kind: "chunked" };

export interface RequestSink {
  head(head: RequestHead): void;
  body(bytes: Buffer): void;
  end(trailers: readonly (readonly [string, string])[]): void;
}

const parseFields = (lines: readonly string[]): [string, string][] =>
  lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });

/**
 * Splits the bytes of one connection into requests, independently of Node's parser, as a simple backend would.
 */
export class RequestReader {
  readonly #sink: RequestSink;
  #pending: Buffer = Buffer.alloc(0);
  #framing: Framing | undefined;

  constructor(sink: RequestSink) {
    this.#sink = sink;
  }

  feed(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    while (this.#step()) {
      // Each step reads one head, one part of a body or one chunk.
    }
  }

  #step(): boolean {
    if (this.#framing === undefined) return this.#readHead();
    if (this.#framing.kind === "none") return this.#finish([]);
    if (this.#framing.kind === "length") return this.#readCounted(this.#framing);
    return this.#readChunk();
  }

  #readHead(): boolean {
    const end = this.#pending.indexOf("\r\n\r\n");
    if (end < 0) return false;
    const raw = this.#take(end + 4);
    const [start = "", ...lines] = raw.toString("latin1").slice(0, -4).split("\r\n");
    const [method = "", target = "", version = ""] = start.split(" ");
    const fields = parseFields(lines);
    const value = (wanted: string) => fields.find(([name]) => name.toLowerCase() === wanted)?.[1];
    const length = Number(value("content-length") ?? 0);
    if (/chunked/i.test(value("transfer-encoding") ?? "")) this.#framing = { kind: "chunked" };
    else this.#framing = length > 0 ? { kind: "length", left: length } : { kind: "none" };
    this.#sink.head({ raw, method, target, version, fields });
    return true;
  }

  #readCounted(framing: { left: number }): boolean {
    if (framing.left === 0) return this.#finish([]);
    if (this.#pending.length === 0) return false;
    const piece = this.#take(Math.min(framing.left, this.#pending.length));
    framing.left -= piece.length;
    this.#sink.body(piece);
    return true;
  }

  #readChunk(): boolean {
    const lineEnd = this.#pending.indexOf("\r\n");
    if (lineEnd < 0) return false;
    const size = Number.parseInt(this.#pending.toString("latin1", 0, lineEnd), 16);
    if (size > 0) {
      if (this.#pending.length < lineEnd + 2 + size + 2) return false;
      this.#take(lineEnd + 2);
      this.#sink.body(this.#take(size));
      this.#take(2);
      return true;
    }
    // The last chunk, its trailers and the empty line; without trailers that is CRLF CRLF.
    const end = this.#pending.indexOf("\r\n\r\n", lineEnd);
    if (end < 0) return false;
    const lines = this.#take(end + 4)
      .toString("latin1")
      .split("\r\n")
      .slice(1, -2);
    return this.#finish(parseFields(lines));
  }

  #finish(trailers: [string, string][]): boolean {
    this.#framing = undefined;
    this.#sink.end(trailers);
    return true;
  }

  #take(count: number): Buffer {
    const piece = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(count);
    return piece;
  }
}
