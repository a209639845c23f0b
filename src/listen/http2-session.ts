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
import { endAfterReading } from "../process/internals/http2-late-end.ts";
import { keepSessionInMemory } from "../process/internals/http2-session-memory.ts";
import { Http2Resets } from "./http2-resets.ts";

/** The maximum number of invalid frames of a connection; one more ends it. */
const MAX_INVALID_FRAMES = 100;

/** How long, in ms, the last bytes of a connection may take, such as GOAWAY; a client that does not read would keep it. */
const LINGER_MS = 500;

/** nghttp2's own bound on fields must be above `limits.headers`, which gives a 431; there are four pseudo-fields. */
const fieldPairs = (fields: number): number => fields * 2 + 4;

/** A response on a stream. */
interface StreamAnswer {
  /** Whether it was sent completely. */
  readonly isWhole: boolean;
}

/** The bounds of an HTTP/2 connection, and the callbacks for its requests and errors. */
export interface Http2Rules {
  readonly limits: ServerConfig["limits"];
  readonly bounds: Http2Config;
  /** How long, in ms, the connection stays open without a stream. */
  readonly keepAliveMs: number;
  answer(stream: ServerHttp2Stream, rawHeaders: readonly string[]): StreamAnswer;
  /** Called when the connection was ended because its client reset more requests than allowed. */
  tooManyResets(): void;
  /** Reports an error that no code expected and that belongs to no exchange. */
  onFault(error: unknown): void;
}

/** One HTTP/2 connection. */
export class Http2Session {
  readonly #session: ServerHttp2Session;
  readonly #keepInMemoryFor: (stream: ServerHttp2Stream) => void;
  readonly #rules: Http2Rules;
  readonly #socket: TLSSocket;
  readonly #resets: Http2Resets;
  readonly #pings: NodeJS.Timeout;
  #isPinged = false;
  #isDestroyed = false;
  #idle: NodeJS.Timeout;
  /** The open streams with their responses. */
  readonly #streams = new Map<ServerHttp2Stream, StreamAnswer>();
  #isSweepDue = false;

  constructor(socket: TLSSocket, rules: Http2Rules, onClose: () => void) {
    this.#rules = rules;
    this.#socket = socket;
    this.#resets = new Http2Resets(rules.bounds.maxResets);
    this.#session = performServerHandshake(socket, optionsOf(rules));
    endAfterReading(this.#session, (error) => this.#onFault(error));
    this.#keepInMemoryFor = keepSessionInMemory(this.#session);
    // The first request has the time of any request, `limits.requestTimeout`.
    this.#idle = this.#closeIn(rules.limits.requestTimeout);
    this.#pings = setInterval(
      this.#guarded(() => this.#ping()),
      rules.bounds.pingInterval,
    );
    // An error ends the session's streams, and each of them reports its own end.
    this.#session.on("error", () => this.destroy());
    // A client that ends its half of the connection has left.
    socket.once("end", () => this.destroy());
    const closed = () => {
      clearTimeout(this.#idle);
      clearInterval(this.#pings);
      letGo(this.#session);
      onClose();
    };
    this.#session.once("close", this.#guarded(closed));
    const onStream = (stream: ServerHttp2Stream, ...rest: unknown[]) => {
      // Node also passes the raw fields, duplicates included, which its types do not declare.
      this.#onStream(stream, rest[2] as readonly string[]);
    };
    this.#session.on("stream", this.#guarded(onStream));
  }

  /** Whether sluice or Node has ended the connection; Node's own flag is set only after all frames are read. */
  get #isOver(): boolean {
    return this.#isDestroyed || this.#session.destroyed;
  }

  /** Sends GOAWAY, takes no more streams, and ends with the last one. */
  close(): void {
    this.#session.close();
    // Without a stream it ends now: a client may keep its half open for ever.
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
   * Pings the client. After a protocol error nghttp2 sends GOAWAY and nothing more; Node then neither closes the
   * connection nor reads from it, so that even the client's end goes unnoticed.
   */
  #ping(): void {
    // Node has destroyed it: that waits for the bytes under way, which a client that is gone never takes.
    if (this.#session.destroyed) return void this.destroy();
    this.#sweep();
    if (this.#isPinged) {
      // The reply to the last ping may be unread because the process stood still: an immediate runs after reads.
      setImmediate(() => {
        if (this.#isPinged) this.destroy();
      });
      return;
    }
    this.#isPinged = this.#ask(() => {
      this.#isPinged = false;
    });
  }

  /** Asks the client for a sign of life and calls back when it has answered; returns false if it could not be asked. */
  #ask(answered: () => void): boolean {
    // Behind a GOAWAY, the client's or ours, Node sends no PING; SETTINGS have to be answered all the same.
    if (!this.#session.closed) return this.#session.ping(answered);
    this.#session.settings({}, answered);
    return true;
  }

  #onStream(stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    // A session that breaks destroys all its streams with its error, also those without another listener.
    stream.on("error", () => {});
    this.#keepInMemoryFor(stream);
    // It came in the same read as the resets that have just ended the connection.
    if (this.#isOver) return;
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
    // A reset stream whose response has ended and waits for the window gives no event, so a sweep looks for them.
    this.#sweepSoon();
  }

  #answer(stream: ServerHttp2Stream, rawHeaders: readonly string[]): StreamAnswer {
    try {
      return this.#rules.answer(stream, rawHeaders);
    } catch (error) {
      // No exchange has the stream yet; the other streams of the connection go on.
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
   * Destroys the streams that the client has reset with NO_ERROR before the end of their response: Node waits for ever
   * until the client takes the rest, and the stream keeps its backend connection and its places.
   */
  #sweep(): void {
    this.#isSweepDue = false;
    for (const [stream, answer] of this.#streams) if (stream.closed && !answer.isWhole) stream.destroy();
  }

  /** Counts a stream that ended before its response, with any error code: a client can reset with NO_ERROR. */
  #onStreamClose(stream: ServerHttp2Stream, openedAt: number): void {
    const isAnswered = this.#streams.get(stream)?.isWhole ?? true;
    this.#streams.delete(stream);
    if (this.#streams.size === 0 && !this.#isOver) {
      if (this.#session.closed) this.close();
      else this.#idle = this.#closeIn(this.#rules.keepAliveMs);
    }
    if (isAnswered || this.#isOver) return;
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
  #onFault(error: unknown): void {
    this.#rules.onFault(error);
    this.#socket.destroy();
  }

  #guarded<T extends readonly unknown[]>(callback: (...args: T) => void): (...args: T) => void {
    return guarded((error) => this.#onFault(error), callback);
  }
}

/**
 * Removes all listeners from a session that is closed, because Node may hold it for ever: a native session holds it until
 * the client acknowledges SETTINGS. If a listener led to the connection, and so to the error that has ended it, the stack
 * of that error held the native session in turn: each client that broke the protocol early cost 50 KiB for good.
 */
function letGo(session: ServerHttp2Session): void {
  session.removeAllListeners();
  session.on("error", ignore);
}

const ignore = (): void => {};

function optionsOf({ limits, bounds }: Http2Rules) {
  return {
    maxHeaderListPairs: fieldPairs(limits.headers),
    maxSessionInvalidFrames: MAX_INVALID_FRAMES,
    // nghttp2 silently drops invalid fields. With this option of newer Node versions it delivers some of them, and
    // `checkHead` refuses the request.
    strictFieldWhitespaceValidation: false,
    settings: {
      maxConcurrentStreams: bounds.maxConcurrentStreams,
      maxHeaderListSize: limits.headerBytes,
      enablePush: false,
      enableConnectProtocol: false,
    },
  };
}
