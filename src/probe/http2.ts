import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import http2 from "node:http2";
import type { Socket } from "node:net";
import type { Exchange, WireListener, WireRequest } from "./wire.ts";

/**
 * Keeps every session alive: Node 20 aborts the process when it collects a failed session
 * (`current_nghttp2_memory_`). The connection budget of a probe bounds the list.
 */
const sessions: ClientHttp2Session[] = [];

/** Sends a request as the one stream of an HTTP/2 connection, and reads its response with the time of each read. */
export function exchangeHttp2(
  socket: Socket,
  isTls: boolean,
  request: WireRequest,
  listener: WireListener,
): Exchange {
  const reader = new Http2Reader(listener);
  const session = http2.connect(`${isTls ? "https" : "http"}://${request.host}`, {
    createConnection: () => socket,
  });
  sessions.push(session);
  session.on("error", (error: NodeJS.ErrnoException) => reader.broken(error.code ?? error.message));
  session.on("close", () => reader.broken("the session was closed"));
  const fields = Object.fromEntries(request.fields.map(([name, value]) => [name.toLowerCase(), value]));
  const head = { ":method": request.method, ":path": request.path, ":authority": request.host, ...fields };
  const stream = session.request(head, { endStream: request.body === undefined });
  reader.follow(stream);
  if (request.body !== undefined) stream.end(request.body);
  return {
    close: () => {
      reader.isOver = true;
      stream.close(http2.constants.NGHTTP2_CANCEL);
      session.destroy();
    },
  };
}

/** Clients reset a stream with a connection field, which nginx's add_header can send. */
const FORBIDDEN_FIELD =
  "sends an HTTP/2 response that clients must refuse; it may have a field such as Connection or Transfer-Encoding (connection-field-in-http2)";

const reset = (code: number): string => `reset the HTTP/2 stream without a response (code ${code})`;

class Http2Reader {
  isOver = false;
  readonly #listener: WireListener;
  #hasHead = false;
  #hasEnded = false;

  constructor(listener: WireListener) {
    this.#listener = listener;
  }

  follow(stream: ClientHttp2Stream): void {
    // The third argument, which the types lack, has every field line, duplicates included.
    stream.on("response", (headers, _flags, ...more: readonly unknown[]) => {
      if (this.isOver) return;
      this.#hasHead = true;
      const [raw] = more;
      const fields = withoutPseudo(Array.isArray(raw) ? raw.map(String) : flat(headers));
      const status = headers[":status"] ?? 0;
      this.#listener.onHead({ status, protocol: "HTTP/2", fields, framing: "frames" }, performance.now());
    });
    stream.on("data", (bytes: Buffer) => {
      if (!this.isOver && bytes.length > 0) this.#listener.onBody(bytes, performance.now());
    });
    stream.on("end", () => {
      this.#hasEnded = true;
    });
    // `close` follows.
    stream.on("error", () => {});
    stream.on("close", () => this.#onClose(stream.rstCode));
  }

  /** Ends the reading, because the connection is closed. */
  broken(detail: string): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.#hasHead) this.#listener.onEnd("reset", performance.now());
    else this.#listener.onFault(`aborted the HTTP/2 connection without a response (${detail})`);
  }

  #onClose(code: number): void {
    if (this.isOver) return;
    this.isOver = true;
    const isWhole = this.#hasEnded && code === http2.constants.NGHTTP2_NO_ERROR;
    if (this.#hasHead) this.#listener.onEnd(isWhole ? "complete" : "reset", performance.now());
    else
      this.#listener.onFault(code === http2.constants.NGHTTP2_PROTOCOL_ERROR ? FORBIDDEN_FIELD : reset(code));
  }
}

function flat(headers: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().flatMap((one) => [name, String(one)]),
  );
}

function withoutPseudo(fields: readonly string[]): string[] {
  return fields.filter((_, at) => !(fields[at - (at % 2)] ?? "").startsWith(":"));
}
