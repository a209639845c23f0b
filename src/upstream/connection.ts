import { connect, type NetConnectOpts, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { connect as connectTls, type ConnectionOptions as TlsOptions } from "node:tls";
import { Deadline } from "../base/deadline.ts";
import { refusalOf } from "../base/errors.ts";
import { type FaultOwner, guarded } from "../base/guard.ts";
import { WholeBody } from "../exchange/whole-body.ts";
import { ROOM_BEFORE, ROOM_BEHIND } from "../http/chunk.ts";
import { ResponseParser } from "../http/response-parser.ts";
import type { BorrowedBytes } from "../http/source.ts";
import { lastingConnections } from "../process/lasting-connections.ts";
import { Upload, type UploadBody } from "./upload.ts";

/** The most that one read brings. */
const READ_BYTES = 64 * 1024;

/**
 * The read buffer of all backend connections of the process. The bytes of a read are used before the next read of any
 * connection, so a buffer for each connection would only be memory that idles with its stream. Readers get the bytes as
 * `BorrowedBytes` (http/source.ts), with room around them for what makes a chunk of them.
 */
const BYTES: BorrowedBytes = Buffer.allocUnsafeSlow(ROOM_BEFORE + READ_BYTES + ROOM_BEHIND);
const READ_BUFFER = BYTES.subarray(ROOM_BEFORE, ROOM_BEFORE + READ_BYTES);

/** Where connections of one backend go, and all that they are made with: merged once, as each merge is slow. */
export type ConnectionTarget =
  | { readonly tls: false; readonly options: NetConnectOpts }
  | { readonly tls: true; readonly options: TlsOptions };

/** The pool that a connection belongs to. */
export interface ConnectionOwner {
  readonly target: ConnectionTarget;
  /** Of the last TLS handshake, to shorten the next one. */
  session: Buffer | undefined;
  /** It stands, serves nobody, and may serve another request. */
  put(connection: Connection): void;
  /** It is over. */
  remove(connection: Connection): void;
}

/**
 * Whoever has a request under way on a connection; at most one at a time. An error in `onBroken` is its fault, one in
 * any other of these breaks the connection.
 */
export interface ConnectionUser extends FaultOwner {
  onConnected(): void;
  /** The last byte of the request is with the kernel. */
  onSent(): void;
  /** What the connection's deadline was set for takes too long. */
  onLate(): void;
  /** The parser has read; its payload is in `bytes`, which are valid during the call only. */
  onRead(parser: ResponseParser, bytes: BorrowedBytes): void;
  /** The connection has ended, with a whole answer or without. Nothing more is called. */
  onEnd(isWhole: boolean): void;
  /** The connection broke. Nothing more is called. */
  onBroken(error: Error): void;
}

const CONNECTION = Symbol("connection");
type OwnedSocket = Socket & { [CONNECTION]?: Connection };

/**
 * One connection to a backend: sends one request after the other, and reads their answers.
 *
 * The handlers of its socket are shared by all, and find it by a property: closures for each would weigh more than
 * all else that an idle stream holds here.
 */
export class Connection {
  // First what each read needs.
  #user: ConnectionUser | undefined;
  readonly #parser = new ResponseParser();
  /** Until when it may be kept idle, by `performance.now()`. */
  idleUntil = 0;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  #release: (() => void) | undefined;
  #upload: Upload | undefined;
  #deadline: Deadline | undefined;
  #isSent = false;
  #isPaused = false;

  constructor(owner: ConnectionOwner) {
    this.#owner = owner;
    const socket: OwnedSocket = open(owner, (length) => this.#read(length));
    this.#socket = socket;
    socket[CONNECTION] = this;
    socket.once(owner.target.tls ? "secureConnect" : "connect", onConnect);
    socket.on("end", onEnd);
    socket.on("error", onError);
    if (owner.target.tls) socket.on("session", onSession);
    lastingConnections.add(socket);
  }

  /** Hands it to a user; `release` is called once, when it no longer serves that one. */
  begin(user: ConnectionUser, isHead: boolean, release: () => void): void {
    this.#user = user;
    this.#release = release;
    this.#isSent = false;
    this.#parser.begin(isHead);
  }

  /** Another one takes over what is under way. */
  handOver(user: ConnectionUser): void {
    this.#user = user;
  }

  /** The user is told when what follows takes longer than `ms`. */
  setDeadline(ms: number): void {
    this.#deadline ??= new Deadline(() => this.#tell((user) => user.onLate()));
    this.#deadline.set(ms);
  }

  /** What was to come in time is here. */
  liftDeadline(): void {
    this.#deadline?.lift();
  }

  /** The same, and nothing else follows soon. On a connection that serves one request after the other it may. */
  endDeadline(): void {
    if (this.idleUntil > 0) this.#deadline?.lift();
    else this.#dropDeadline();
  }

  /** Sends a request whole, or its head and, as it comes, its body. */
  send(head: string, body: WholeBody | UploadBody | undefined): void {
    if (body !== undefined && !(body instanceof WholeBody)) {
      this.#upload = new Upload(this.#socket, head, body, {
        onDone: (isWhole) => this.#uploaded(isWhole),
        onFault: (error) => this.#failed(this.#user, error),
      });
      return;
    }
    const release = this.#release;
    const onFlushed = (error?: Error | null) => {
      // Not if it is over; a next request may be under way by then.
      if (!error && this.#release === release) this.#sent();
    };
    if (body === undefined) this.#socket.write(head, "latin1", onFlushed);
    else this.#sendWhole(head, body, onFlushed);
  }

  /** Holds the body until the kernel has its last byte or the connection is gone; `onFlushed` hears which. */
  #sendWhole(head: string, body: WholeBody, onFlushed: (error?: Error | null) => void): void {
    const release = body.hold();
    this.#socket.cork();
    this.#socket.write(head, "latin1");
    for (const block of body.blocks.slice(0, -1)) this.#socket.write(block);
    this.#socket.write(body.blocks.at(-1) ?? "", (error) => {
      release();
      onFlushed(error);
    });
    this.#socket.uncork();
  }

  /** Stops reading; what TLS has decrypted already still comes. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  /** The answer has come whole: keeps the connection for another request where that is safe, else closes it. */
  finish(mayKeep: boolean, maxIdleMs: number): void {
    const { isPersistent, hasSurplus, keepAliveMs = Number.POSITIVE_INFINITY } = this.#parser;
    // A second before the backend's own end, so that it does not fall on our next request.
    const idleMs = Math.min(maxIdleMs, keepAliveMs - 1000);
    if (mayKeep && isPersistent && !hasSurplus && this.#isSent && idleMs > 0) this.#keep(idleMs);
    else this.#close();
  }

  /** Closes it at once, whatever is under way; nothing more is called. */
  destroy(): void {
    this.#leave();
    this.#socket.destroy();
  }

  connected(): void {
    this.#tell((user) => user.onConnected());
  }

  ended(): void {
    const isWhole = this.#parser.finish();
    this.#endFor((user) => user.onEnd(isWhole));
  }

  broken(error: Error): void {
    this.#owner.session = undefined;
    this.#endFor((user) => user.onBroken(error));
  }

  handshaken(session: Buffer): void {
    this.#owner.session = session;
  }

  #read(length: number): boolean {
    const user = this.#user;
    if (user === undefined) {
      // An answer that nobody asked for.
      this.destroy();
    } else {
      this.#deliver(user, length);
    }
    return true;
  }

  /** What throws on the way to the client is the end of this answer, and not of the thousands beside it. */
  #deliver(user: ConnectionUser, length: number): void {
    try {
      this.#parser.read(BYTES, ROOM_BEFORE, ROOM_BEFORE + length);
      user.onRead(this.#parser, BYTES);
    } catch (error) {
      this.#failed(user, error);
    }
  }

  #tell(step: (user: ConnectionUser) => void): void {
    const user = this.#user;
    if (user === undefined) return;
    try {
      step(user);
    } catch (error) {
      this.#failed(user, error);
    }
  }

  /** Closes the connection and tells its user, the last time. */
  #endFor(step: (user: ConnectionUser) => void): void {
    const user = this.#user;
    this.destroy();
    if (user === undefined) return;
    guarded((error) => user.fault(error), step)(user);
  }

  #failed(user: ConnectionUser | undefined, cause: unknown): void {
    // Another may have taken over meanwhile.
    this.#user ??= user;
    this.#endFor((broken) => broken.onBroken(refusalOf(cause)));
  }

  #sent(): void {
    this.#isSent = true;
    this.#tell((user) => user.onSent());
  }

  #uploaded(isWhole: boolean): void {
    this.#upload = undefined;
    if (isWhole) this.#sent();
    else this.broken(new Error("the client's body broke off"));
  }

  #keep(idleMs: number): void {
    this.idleUntil = performance.now() + idleMs;
    this.resume();
    const release = this.#release;
    this.#user = undefined;
    this.#release = undefined;
    this.#owner.put(this);
    release?.();
  }

  #dropDeadline(): void {
    this.#deadline?.close();
    this.#deadline = undefined;
  }

  /** In order: TLS says that it ends. */
  #close(): void {
    this.#leave();
    this.#socket.destroySoon();
  }

  #leave(): void {
    const release = this.#release;
    this.#user = undefined;
    this.#release = undefined;
    this.#upload?.stop();
    this.#upload = undefined;
    this.#owner.remove(this);
    lastingConnections.delete(this.#socket);
    this.#dropDeadline();
    release?.();
  }
}

function open({ target, session }: ConnectionOwner, callback: (length: number) => boolean): Socket {
  const onread = { buffer: READ_BUFFER, callback };
  if (!target.tls) return connect({ ...target.options, onread });
  const options = { ...target.options, onread };
  return connectTls(session === undefined ? options : { ...options, session });
}

function onConnect(this: OwnedSocket): void {
  this[CONNECTION]?.connected();
}

function onEnd(this: OwnedSocket): void {
  this[CONNECTION]?.ended();
}

function onError(this: OwnedSocket, error: Error): void {
  this[CONNECTION]?.broken(error);
}

function onSession(this: OwnedSocket, session: Buffer): void {
  this[CONNECTION]?.handshaken(session);
}
