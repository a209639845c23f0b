import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { TLSSocket } from "node:tls";
import { guarded } from "../base/guard.ts";
import type { Http2Config } from "../config/listen-schema.ts";
import type { ServerConfig } from "../config/server-schema.ts";
import { Http2Resets } from "./http2-resets.ts";

/** Frames that break a rule, or data that is none; a connection with more of them is ended. */
const MAX_INVALID_FRAMES = 100;

/** How long the last bytes of a connection, GOAWAY among them, may take; who does not read would keep it. */
const LINGER_MS = 500;

/** nghttp2's own count of fields comes after ours, which answers 431; `:method` and its like are four. */
const fieldPairs = (fields: number): number => fields * 2 + 4;

/** What one HTTP/2 connection is bound by, and who answers what comes on it. */
export interface Http2Rules {
  readonly limits: ServerConfig["limits"];
  readonly bounds: Http2Config;
  /** How long, in ms, it stays without a stream. */
  readonly keepAliveMs: number;
  /** Begins to answer a request; `isWhole` says later whether its answer was sent to the end. */
  answer(stream: ServerHttp2Stream, rawHeaders: readonly string[]): { readonly isWhole: boolean };
  /** Its client took back more requests than it may, and it was ended. */
  tooManyResets(): void;
  /** Reports an error that no code expected, and that no exchange owns. */
  onFault(error: unknown): void;
}

/** One HTTP/2 connection. */
export class Http2Session {
  readonly #session: ServerHttp2Session;
  readonly #rules: Http2Rules;
  readonly #socket: TLSSocket;
  readonly #resets: Http2Resets;
  readonly #pings: NodeJS.Timeout;
  #isPinged = false;
  #idle: NodeJS.Timeout;
  #openStreams = 0;

  constructor(socket: TLSSocket, rules: Http2Rules, onClose: () => void) {
    this.#rules = rules;
    this.#socket = socket;
    this.#resets = new Http2Resets(rules.bounds.maxResets);
    this.#session = performServerHandshake(socket, optionsOf(rules));
    // The first request has the time that a request has.
    this.#idle = this.#closeIn(rules.limits.requestTimeout);
    this.#pings = setInterval(
      this.#guarded(() => this.#ping()),
      rules.bounds.pingInterval,
    );
    // Whatever ends it ends its streams, and each of those says what there is to say.
    this.#session.on("error", () => this.destroy());
    // A client that has ended its side has left.
    socket.once("end", () => this.destroy());
    const closed = () => {
      clearTimeout(this.#idle);
      clearInterval(this.#pings);
      onClose();
    };
    this.#session.once("close", this.#guarded(closed));
    const onStream = (stream: ServerHttp2Stream, ...rest: unknown[]) => {
      // Node gives the fields as they came, duplicates included, though its types do not know.
      this.#onStream(stream, rest[2] as readonly string[]);
    };
    this.#session.on("stream", this.#guarded(onStream));
  }

  /** Takes no more streams, which GOAWAY tells the client, and ends with the last one. */
  close(): void {
    this.#session.close();
    // Without a stream there is nothing to wait for; a client may leave its side open for ever.
    if (this.#openStreams === 0) setImmediate(this.#guarded(() => this.destroy()));
  }

  destroy(reason?: Error, code?: number): void {
    this.#session.destroy(reason, code);
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(linger));
  }

  /**
   * Asks the client whether it is there. After a breach of the protocol nghttp2 says GOAWAY and falls silent;
   * Node then neither closes the connection nor reads on, so that not even the client's end is noticed.
   */
  #ping(): void {
    if (this.#session.destroyed) return;
    if (this.#isPinged) {
      // The answer may be there, unread, because nothing was read for a while: first what came, then this.
      setImmediate(() => {
        if (this.#isPinged) this.destroy();
      });
      return;
    }
    this.#isPinged = this.#session.ping(() => {
      this.#isPinged = false;
    });
  }

  #onStream(stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    // What came in one piece with the attack that has just ended the connection.
    if (this.#session.destroyed) return;
    const openedAt = performance.now();
    this.#openStreams++;
    clearTimeout(this.#idle);
    const answer = this.#answer(stream, rawHeaders);
    const onClose = this.#guarded(() => this.#onStreamClose(openedAt, answer.isWhole));
    if (stream.destroyed) onClose();
    else stream.once("close", onClose);
  }

  #answer(stream: ServerHttp2Stream, rawHeaders: readonly string[]): { readonly isWhole: boolean } {
    try {
      return this.#rules.answer(stream, rawHeaders);
    } catch (error) {
      // No exchange has it yet; the other streams of the connection go on.
      this.#rules.onFault(error);
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return { isWhole: false };
    }
  }

  /** Counts a stream that ended without its whole answer, whatever its error code: a client can reset with NO_ERROR. */
  #onStreamClose(openedAt: number, isAnswered: boolean): void {
    this.#openStreams--;
    if (this.#openStreams === 0 && !this.#session.destroyed) {
      if (this.#session.closed) this.close();
      else this.#idle = this.#closeIn(this.#rules.keepAliveMs);
    }
    if (isAnswered || this.#session.destroyed) return;
    if (!this.#resets.isTooMany(openedAt, performance.now())) return;
    this.#rules.tooManyResets();
    this.destroy(new Error("too many resets"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #closeIn(ms: number): NodeJS.Timeout {
    return setTimeout(
      this.#guarded(() => this.close()),
      ms,
    );
  }

  /** A fault outside of any exchange ends the connection. */
  #guarded<T extends readonly unknown[]>(callback: (...args: T) => void): (...args: T) => void {
    return guarded((error) => {
      this.#rules.onFault(error);
      this.#socket.destroy();
    }, callback);
  }
}

function optionsOf({ limits, bounds }: Http2Rules) {
  return {
    maxHeaderListPairs: fieldPairs(limits.headers),
    maxSessionInvalidFrames: MAX_INVALID_FRAMES,
    // nghttp2 drops such a field without a word. Where Node can be told not to, `checkHead` refuses the request.
    strictFieldWhitespaceValidation: false,
    settings: {
      maxConcurrentStreams: bounds.maxConcurrentStreams,
      maxHeaderListSize: limits.headerBytes,
      enablePush: false,
      enableConnectProtocol: false,
    },
  };
}
