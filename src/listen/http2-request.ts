import type { ServerHttp2Stream } from "node:http2";
import { Readable } from "node:stream";
import type { ClientRequest, RequestBody } from "../http/client-request.ts";
import { onceTrailers } from "../process/internals/http2-trailers.ts";

/**
 * A request as nghttp2 has read it, in the terms that HTTP/1 has for it.
 *
 * `:authority` becomes Host (RFC 9113 section 8.3.1). One of both that says something else stays beside it, so
 * that the check of the head finds two. The crumbs of a Cookie become one field (section 8.2.3).
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

/** nghttp2 has compared the length with what came, and resets a stream on which the two differ. */
function bodyOf(stream: ServerHttp2Stream, fields: readonly string[]): RequestBody | undefined {
  if (stream.endAfterHeaders) return undefined;
  const at = fields.findIndex((name, index) => index % 2 === 0 && name === "content-length");
  const length = at < 0 ? undefined : Number(fields[at + 1]);
  if (length !== 0) return { stream: new Http2Body(stream), length };
  stream.resume();
  return undefined;
}

/**
 * What follows the head of a request. Unlike the stream that it comes on, it has no end when that was reset: a
 * backend would take what came of the body for all of it.
 */
class Http2Body extends Readable {
  readonly rawTrailers: string[] = [];
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    super();
    this.#stream = stream;
    // Nobody may be left that reads it; who does, hears of it.
    this.on("error", () => {});
    // Or `data` would make it flow before anybody wants it.
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
  return new Error("the client broke its request off");
}
