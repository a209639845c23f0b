import type { Socket } from "node:net";
import { framingOf } from "../http/framing.ts";
import { renderRequest } from "../http/render-head.ts";
import { ResponseParser } from "../http/response-parser.ts";
import type { Exchange, WireHead, WireListener, WireRequest } from "./wire.ts";

/** `HTTP/1.x` */
const VERSION_LENGTH = 8;

/**
 * Sends a request over a connection and reads its response with the time of each read.
 *
 * Uses the gateway's own strict parser: a response that the probe cannot read is one that the gateway refuses.
 */
export function exchangeHttp1(socket: Socket, request: WireRequest, listener: WireListener): Exchange {
  const reader = new Http1Reader(request.method === "HEAD", listener);
  socket.on("data", (bytes: Buffer) => reader.read(bytes));
  socket.on("end", () => reader.ended());
  socket.on("error", (error: NodeJS.ErrnoException) => reader.broken(error));
  socket.on("close", () => reader.ended());
  socket.write(renderHead(request), "latin1");
  if (request.body !== undefined) socket.write(request.body);
  return {
    close: () => {
      reader.isOver = true;
      socket.destroy();
    },
  };
}

function renderHead({ method, path, host, version, fields, body }: WireRequest): string {
  const length = body === undefined ? [] : ["Content-Length", String(body.length)];
  return renderRequest(method, path, ["Host", host, ...length, ...fields.flat()], version);
}

class Http1Reader {
  isOver = false;
  readonly #parser = new ResponseParser();
  readonly #isHead: boolean;
  readonly #listener: WireListener;
  #version = "";
  #hasHead = false;

  constructor(isHead: boolean, listener: WireListener) {
    this.#isHead = isHead;
    this.#listener = listener;
    this.#parser.begin(isHead);
  }

  read(bytes: Buffer): void {
    if (this.isOver) return;
    const at = performance.now();
    // Before parsing, because the parser decodes chunks in place.
    if (!this.#hasHead) this.#noteVersion(bytes);
    const parser = this.#parser;
    parser.read(bytes, 0, bytes.length);
    if (parser.head !== undefined) this.#onHead(parser.head.status, parser.head.rawHeaders, at);
    if (parser.payloadEnd > parser.payloadStart)
      this.#listener.onBody(bytes.subarray(parser.payloadStart, parser.payloadEnd), at);
    if (parser.fault !== undefined) this.#fail(`sends invalid HTTP: ${parser.fault}`, at);
    else if (parser.isEnded) this.#end("complete", at);
  }

  /** The peer has sent its last byte. */
  ended(): void {
    if (this.isOver) return;
    const at = performance.now();
    if (!this.#hasHead) this.#fail("closed the connection without a response", at);
    else this.#end(this.#parser.finish() ? "closed" : "truncated", at);
  }

  broken(error: NodeJS.ErrnoException): void {
    if (this.isOver) return;
    if (this.#hasHead) this.#end("reset", performance.now());
    else this.#fail(`aborted the connection without a response (${error.code ?? error.message})`, 0);
  }

  /** Takes the version from the first bytes; an interim response has the version of the final one. */
  #noteVersion(bytes: Buffer): void {
    if (this.#version.length < VERSION_LENGTH)
      this.#version += bytes.toString("latin1", 0, VERSION_LENGTH - this.#version.length);
  }

  #onHead(status: number, fields: readonly string[], at: number): void {
    this.#hasHead = true;
    const isHttp10 = this.#version === "HTTP/1.0";
    const protocol: WireHead["protocol"] = isHttp10 ? "HTTP/1.0" : "HTTP/1.1";
    const { body: framing } = framingOf(fields, status, isHttp10, this.#isHead);
    this.#listener.onHead({ status, protocol, fields, framing }, at);
  }

  #end(kind: Parameters<WireListener["onEnd"]>[0], at: number): void {
    this.isOver = true;
    this.#listener.onEnd(kind, at);
  }

  #fail(detail: string, at: number): void {
    this.isOver = true;
    if (this.#hasHead) this.#listener.onEnd("truncated", at);
    else this.#listener.onFault(detail);
  }
}
