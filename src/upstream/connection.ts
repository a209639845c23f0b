import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { Deadline } from "../base/deadline.ts";
import { refusalOf } from "../base/errors.ts";
import { WholeBody } from "../exchange/whole-body.ts";
import { idleMsOf } from "../http/framing.ts";
import { ResponseParser } from "../http/response-parser.ts";
import { HeldWriteErrors } from "../process/internals/held-write-errors.ts";
import { lastingConnections } from "../process/lasting-connections.ts";
import { type ConnectionTarget, openBackendSocket, READ_BUFFER, READ_START } from "./backend-socket.ts";
import type { ConnectionUser } from "./connection-user.ts";
import { Upload, type UploadBody } from "./upload.ts";

/** Keeps connections while they are idle. */
export interface ConnectionKeeper {
  /** Takes back an idle connection that may serve another request. */
  put(connection: Connection): void;
  /** Forgets a connection that is closed. */
  remove(connection: Connection): void;
}

/** The pool that a connection belongs to. */
export interface ConnectionOwner extends ConnectionKeeper {
  readonly target: ConnectionTarget;
  /** The session of the last TLS handshake, to shorten the next one. */
  session: Buffer | undefined;
}

const CONNECTION = Symbol("connection");
type OwnedSocket = Socket & { [CONNECTION]?: Connection };

/**
 * One connection to a backend: sends one request after the other, and reads their responses.
 *
 * All connections share the handlers of their sockets, which find the connection by a property of the socket: closures
 * and wrappers of `once` would take more memory than everything else that an idle stream holds here.
 */
export class Connection {
  // The fields that each read needs come first.
  #user: ConnectionUser | undefined;
  readonly #parser: ResponseParser;
  /** The time by `performance.now()` until which it may be idle; 0 before it is idle for the first time. */
  idleUntil = 0;
  readonly owner: ConnectionOwner;
  #keeper: ConnectionKeeper;
  readonly #socket: Socket;
  #release: (() => void) | undefined;
  #upload: Upload | undefined;
  #deadline: Deadline | undefined;
  #isSent = false;
  #isPaused = false;
  #requests = 0;
  /** Set once it has sent a body. */
  #writeErrors: HeldWriteErrors | undefined;

  constructor(owner: ConnectionOwner) {
    this.owner = owner;
    this.#keeper = owner;
    this.#parser = new ResponseParser(owner.target.headerBytes);
    const socket: OwnedSocket = openBackendSocket(owner.target, owner.session);
    this.#socket = socket;
    socket[CONNECTION] = this;
    socket.on(owner.target.tls ? "secureConnect" : "connect", onConnect);
    socket.on("end", onEnd);
    socket.on("error", onError);
    if (owner.target.tls) socket.on("session", onSession);
    lastingConnections.add(socket);
  }

  /** Gives the connection to a user; `release` is called once, when it no longer serves that user. */
  begin(user: ConnectionUser, isHead: boolean, release: () => void): void {
    this.#user = user;
    this.#release = release;
    this.#isSent = false;
    this.#requests++;
    this.#parser.begin(isHead);
  }

  /** Gives the connection, when it is idle, to `keeper` instead of its pool. */
  keepFor(keeper: ConnectionKeeper): void {
    this.#keeper = keeper;
  }

  /** Replaces the user of the request that is under way. */
  handOver(user: ConnectionUser): void {
    this.#user = user;
  }

  /** Calls the user's `onLate` after `ms`, unless the deadline is lifted or set again before. */
  setDeadline(ms: number): void {
    this.#deadline ??= new Deadline(() => this.#tell((user) => user.onLate()));
    this.#deadline.set(ms);
  }

  /** Lifts the deadline; another one may follow soon. */
  liftDeadline(): void {
    this.#deadline?.lift();
  }

  /**
   * Lifts the last deadline of a request. A connection that was idle before keeps the timer: it is likely to need it.
   */
  endDeadline(): void {
    if (this.idleUntil > 0) this.#deadline?.lift();
    else this.#dropDeadline();
  }

  /** Sends a request: whole, or its head and then its body as it comes from the client. */
  send(head: string, body: WholeBody | UploadBody | undefined): void {
    if (body !== undefined) this.#writeErrors ??= new HeldWriteErrors(this.#socket);
    if (body !== undefined && !(body instanceof WholeBody)) {
      this.#upload = new Upload(this.#socket, head, body, {
        onDone: (isWhole) => this.#uploaded(isWhole),
        onFault: (error) => this.#failed(this.#user, error),
      });
      return;
    }
    const release = this.#release;
    const onFlushed = (error?: Error | null) => {
      // The request may be over, and the next one under way.
      if (!error && this.#release === release) this.#sent();
    };
    if (body === undefined) this.#socket.write(head, "latin1", onFlushed);
    else this.#sendWhole(head, body, onFlushed);
  }

  /** Holds the body until the kernel has its last byte or the connection is closed; `onFlushed` gets the error then. */
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

  /** Stops reading; bytes that TLS has decrypted already still come. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  /**
   * Ends a request whose response is whole: keeps the connection for another one, for up to `keepMs`, if that is safe;
   * else closes it.
   */
  finish(keepMs: number): void {
    const { isPersistent, hasSurplus, keepAlive } = this.#parser;
    const idleMs = Math.min(keepMs, idleMsOf(keepAlive, this.#requests));
    if (isPersistent && !hasSurplus && this.#isSent && idleMs > 0) this.#keep(idleMs);
    else this.#close();
  }

  /** Closes the connection at once, whatever is under way, without a further call to its user. */
  destroy(): void {
    this.#leave();
    this.#socket.destroy();
  }

  connected(): void {
    this.#tell((user) => user.onConnected());
  }

  ended(): void {
    // The write got the reset that the read would have got: this is no orderly end.
    const failed = this.#writeErrors?.first;
    const isWhole = this.#parser.finish();
    if (failed === undefined) this.#endFor((user) => user.onEnd(isWhole));
    else this.broken(failed);
  }

  broken(error: Error): void {
    this.owner.session = undefined;
    this.#endFor((user) => user.onBroken(error));
  }

  handshaken(session: Buffer): void {
    this.owner.session = session;
  }

  /**
   * Called when the connection has read this many bytes into `READ_BUFFER`. An error on the way to the client ends this
   * response, and not the thousands beside it.
   */
  read(length: number): void {
    const user = this.#user;
    // A response without a request.
    if (user === undefined) return void this.destroy();
    try {
      this.#parser.read(READ_BUFFER, READ_START, READ_START + length);
      user.onRead(this.#parser, READ_BUFFER);
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

  /** Closes the connection and makes the last call to its user. */
  #endFor(step: (user: ConnectionUser) => void): void {
    const user = this.#user;
    this.destroy();
    if (user === undefined) return;
    try {
      step(user);
    } catch (error) {
      user.fault(error);
    }
  }

  #failed(user: ConnectionUser | undefined, cause: unknown): void {
    // The step may have changed or removed the user.
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
    else this.broken(new Error("the client's body is incomplete"));
  }

  #keep(idleMs: number): void {
    this.idleUntil = performance.now() + idleMs;
    this.resume();
    const release = this.#release;
    this.#user = undefined;
    this.#release = undefined;
    this.#keeper.put(this);
    release?.();
  }

  #dropDeadline(): void {
    this.#deadline?.close();
    this.#deadline = undefined;
  }

  /** Closes the connection in order: TLS sends its close_notify. */
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
    this.#keeper.remove(this);
    this.owner.remove(this);
    lastingConnections.delete(this.#socket);
    this.#dropDeadline();
    release?.();
  }
}

/** Called when a connection has read into `READ_BUFFER`. */
export function onRead(socket: OwnedSocket, length: number): true {
  socket[CONNECTION]?.read(length);
  return true;
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
