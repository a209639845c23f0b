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

/** An answer on a stream. */
interface StreamAnswer {
  /** It was sent to its end. */
  readonly isWhole: boolean;
}

/** What one HTTP/2 connection is bound by, and who answers what comes on it. */
export interface Http2Rules {
  readonly limits: ServerConfig["limits"];
  readonly bounds: Http2Config;
  /** How long, in ms, it stays without a stream. */
  readonly keepAliveMs: number;
  answer(stream: ServerHttp2Stream, rawHeaders: readonly string[]): StreamAnswer;
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
  #isDestroyed = false;
  #idle: NodeJS.Timeout;
  /** The streams that are open, with their answers. */
  readonly #streams = new Map<ServerHttp2Stream, StreamAnswer>();
  #isSweepDue = false;

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
    if (this.#streams.size === 0) setImmediate(this.#guarded(() => this.destroy()));
  }

  destroy(reason?: Error, code?: number): void {
    this.#session.destroy(reason, code);
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(linger));
  }

  /**
   * Asks the client whether it is there. After a breach of the protocol nghttp2 says GOAWAY and falls silent;
   * Node then neither closes the connection nor reads on, so that not even the client's end is noticed.
   */
  #ping(): void {
    if (this.#session.destroyed) return;
    this.#sweep();
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
    // A session that breaks destroys its streams with its error, those too that nothing below listens to.
    stream.on("error", () => {});
    // What came in one piece with the attack that has just ended the connection.
    if (this.#session.destroyed) return;
    const openedAt = performance.now();
    clearTimeout(this.#idle);
    const answer = this.#answer(stream, rawHeaders);
    this.#streams.set(stream, answer);
    const onClose = this.#guarded(() => this.#onStreamClose(stream, openedAt));
    if (stream.destroyed) {
      onClose();
    } else {
      stream.once("close", onClose);
      stream.once("aborted", () => this.#sweepSoon());
    }
    // Of a stream whose answer has ended and waits for room there is no event; many of them at once are an attack.
    this.#sweepSoon();
  }

  #answer(stream: ServerHttp2Stream, rawHeaders: readonly string[]): StreamAnswer {
    try {
      return this.#rules.answer(stream, rawHeaders);
    } catch (error) {
      // No exchange has it yet; the other streams of the connection go on.
      this.#rules.onFault(error);
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      return { isWhole: false };
    }
  }

  #sweepSoon(): void {
    if (this.#isSweepDue) return;
    this.#isSweepDue = true;
    setImmediate(this.#guarded(() => this.#sweep()));
  }

  /**
   * Destroys the streams that the client has reset with NO_ERROR before their whole answer: Node waits for the rest of
   * it to be taken, which it never is, and with it stay the backend connection and the places.
   */
  #sweep(): void {
    this.#isSweepDue = false;
    for (const [stream, answer] of this.#streams) if (stream.closed && !answer.isWhole) stream.destroy();
  }

  /** Counts a stream that ended without its whole answer, whatever its error code: a client can reset with NO_ERROR. */
  #onStreamClose(stream: ServerHttp2Stream, openedAt: number): void {
    const isAnswered = this.#streams.get(stream)?.isWhole ?? true;
    this.#streams.delete(stream);
    if (this.#streams.size === 0 && !this.#session.destroyed) {
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
