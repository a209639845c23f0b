import type { ServerHttp2Stream } from "node:http2";
import { Readable } from "node:stream";
import type { ClientRequest, RequestBody } from "../http/client-request.ts";
import { onceTrailers } from "../process/internals/http2-trailers.ts";

/**
 * Returns a request that nghttp2 has read, in the form of an HTTP/1 request.
 *
 * `:authority` becomes Host (RFC 9113 section 8.3.1). A different Host field is kept beside it, so that `checkHead` finds
 * two and refuses. The Cookie fields become one field (section 8.2.3).
 */
export function createHttp2Request(stream: ServerHttp2Stream, raw: readonly string[]): ClientRequest {
  const pseudo = new Map<string, string>();
  const fields: string[] = [];
  const cookies: string[] = [];
  let cookieAt = -1;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    if (name.startsWith(":")) {
      pseudo.set(name, value);
      continue;
    }
    if (name === "host" && value.toLowerCase() === pseudo.get(":authority")?.toLowerCase()) continue;
    if (name === "cookie") {
      if (cookieAt < 0) cookieAt = fields.push(name, "") - 1;
      cookies.push(value);
    } else {
      fields.push(name, value);
    }
  }
  if (cookieAt >= 0) fields[cookieAt] = cookies.join("; ");
  const authority = pseudo.get(":authority");
  return {
    method: pseudo.get(":method") ?? "",
    url: pseudo.get(":path") ?? "",
    httpVersion: "2.0",
    rawHeaders: authority === undefined ? fields : ["host", authority, ...fields],
    body: bodyOf(stream, fields),
  };
}

/** nghttp2 compares Content-Length with the bytes that came, and resets a stream if they differ. */
function bodyOf(stream: ServerHttp2Stream, fields: readonly string[]): RequestBody | undefined {
  if (stream.endAfterHeaders) return undefined;
  const at = fields.findIndex((name, index) => index % 2 === 0 && name === "content-length");
  const length = at < 0 ? undefined : Number(fields[at + 1]);
  if (length !== 0) return { stream: new Http2Body(stream), length };
  stream.resume();
  return undefined;
}

/**
 * The body of a request. Unlike its stream, it does not end when the stream is reset: a backend would take an incomplete
 * body for complete.
 */
class Http2Body extends Readable {
  readonly rawTrailers: string[] = [];
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    super();
    this.#stream = stream;
    // The error event may have no listener.
    this.on("error", () => {});
    // A `data` listener makes a stream flow, unless it was paused before.
    stream.pause();
    stream.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) stream.pause();
    });
    onceTrailers(stream, (raw) => this.rawTrailers.push(...raw));
    stream.once("end", () => {
      if (stream.aborted || stream.rstCode !== 0) this.destroy(brokenOff());
      else this.push(null);
    });
    stream.once("close", () => {
      if (!stream.readableEnded) this.destroy(brokenOff());
    });
  }

  override _read(): void {
    this.#stream.resume();
  }
}

function brokenOff(): Error {
  return new Error("the client aborted its request");
}
