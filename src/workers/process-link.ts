import { ConfigError, type Problem } from "../config/problem.ts";

/** How long an answer may take, unless the call says otherwise; the other process does nothing else for seconds. */
const CALL_MS = 5_000;

/** Calls that wait at a time; a process that takes no answers shall not grow by what it asks. */
const MAX_CALLS = 10_000;

/** The other process is gone, or does not answer. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly isGone: boolean;

  constructor(message: string, isGone: boolean) {
    super(message);
    this.isGone = isGone;
  }
}

/** The end of a channel between two processes, as node:child_process has it on either side. */
export interface Peer {
  readonly connected: boolean;
  on(event: "message" | "disconnect", listener: (message: unknown) => void): unknown;
  send?(message: unknown, callback: () => void): unknown;
}

/** What one end answers to the other, by name; arguments and answers are structured clones. */
export type Calls<T> = { readonly [Name in keyof T]: (argument: never) => unknown };

type Answer<T> = T extends (...args: never) => infer R ? Awaited<R> : never;
type Argument<T> = T extends (argument: infer A) => unknown ? A : undefined;

interface Message {
  readonly sluice: "call" | "tell" | "answer" | "failure";
  readonly id: number;
  readonly name: string;
  readonly value: unknown;
}

interface Waiting {
  readonly timer: NodeJS.Timeout;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * Calls between two processes, over the channel that node:cluster keeps between them.
 *
 * They arrive in the order in which they were made. Each is answered once, or rejects when the other process is
 * gone or silent: nobody waits for the dead.
 */
export class ProcessLink<Theirs extends Calls<Theirs>> {
  readonly #peer: Peer;
  readonly #answers: Readonly<Record<string, (argument: never) => unknown>>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(peer: Peer, answers: Readonly<Record<string, (argument: never) => unknown>>) {
    this.#peer = peer;
    this.#answers = answers;
    peer.on("message", (message) => this.#onMessage(message));
    peer.on("disconnect", () => this.#onGone());
  }

  get isGone(): boolean {
    return !this.#peer.connected;
  }

  /** Calls the other end; rejects with its error, or with a LinkError. */
  call<Name extends keyof Theirs & string>(
    name: Name,
    argument: Argument<Theirs[Name]>,
    timeoutMs = CALL_MS,
  ): Promise<Answer<Theirs[Name]>> {
    return new Promise((resolve, reject) => {
      if (!this.#peer.connected) return reject(new LinkError("the other process is gone", true));
      if (this.#waiting.size >= MAX_CALLS) return reject(new LinkError("too many calls wait", false));
      const id = ++this.#lastId;
      const onLate = () => {
        this.#waiting.delete(id);
        reject(new LinkError(`no answer to ${name} in ${timeoutMs} ms`, false));
      };
      const timer = setTimeout(onLate, timeoutMs).unref();
      const waiting = { timer, resolve: (value: unknown) => resolve(value as Answer<Theirs[Name]>), reject };
      this.#waiting.set(id, waiting);
      this.#send({ sluice: "call", id, name, value: argument });
    });
  }

  /** Calls the other end without waiting for what comes of it. */
  tell<Name extends keyof Theirs & string>(name: Name, argument: Argument<Theirs[Name]>): void {
    if (this.#peer.connected) this.#send({ sluice: "tell", id: 0, name, value: argument });
  }

  #send(message: Message): void {
    // A peer that left in this moment: its `disconnect` settles what waits for it.
    this.#peer.send?.(message, () => {});
  }

  #onMessage(message: unknown): void {
    if (!isOurs(message)) return;
    if (message.sluice === "call" || message.sluice === "tell") return void this.#answer(message);
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.sluice === "answer") waiting.resolve(message.value);
    else waiting.reject(revived(message.value));
  }

  async #answer({ sluice, id, name, value }: Message): Promise<void> {
    const reply = (kind: "answer" | "failure", content: unknown) => {
      if (sluice === "call" && this.#peer.connected) this.#send({ sluice: kind, id, name, value: content });
    };
    try {
      const answer = Object.hasOwn(this.#answers, name) ? this.#answers[name] : undefined;
      if (answer === undefined) throw new TypeError(`no answer to ${name}`);
      reply("answer", await answer(value as never));
    } catch (error) {
      reply("failure", bared(error));
    }
  }

  #onGone(): void {
    for (const { timer, reject } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new LinkError("the other process is gone", true));
    }
    this.#waiting.clear();
  }
}

/** Others may send messages on the same channel. */
function isOurs(message: unknown): message is Message {
  return typeof message === "object" && message !== null && "sluice" in message;
}

/** A structured clone keeps of an error only its message and stack: the rest travels beside it. */
function bared(error: unknown): unknown {
  if (error instanceof ConfigError) return { problems: error.problems };
  if (!(error instanceof Error)) return { message: String(error) };
  return { message: error.message, stack: error.stack, own: { ...error } };
}

function revived(value: unknown): Error {
  const bare = value as { problems?: readonly Problem[]; message?: string; stack?: string; own?: object };
  if (bare.problems !== undefined) return new ConfigError(bare.problems);
  const error = new Error(bare.message);
  if (bare.stack !== undefined) error.stack = bare.stack;
  return Object.assign(error, bare.own);
}
