import * as z from "zod";
import { guarded } from "../base/guard.ts";
import { ConfigError, type Problem } from "../config/problem.ts";
import type { LinkFaults } from "./link-faults.ts";
import type { CallChecks } from "./schemas.ts";

/** How long to wait for an answer by default: a process that takes longer has been blocked for seconds. */
const CALL_MS = 5_000;

/** Calls waiting for an answer; bounds the memory when the other process does not answer. */
const MAX_CALLS = 10_000;

/** The other process is gone, does not answer in time, or sends an invalid answer. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly isGone: boolean;

  constructor(message: string, isGone: boolean) {
    super(message);
    this.isGone = isGone;
  }
}

/** One end of a channel between two processes, as in node:child_process. */
export interface Peer {
  readonly connected: boolean;
  on(event: "message" | "disconnect", listener: (message: unknown) => void): unknown;
  send?(message: unknown, callback: () => void): unknown;
}

/** The calls that one end answers, by name; arguments and answers are structured clones. */
export type Calls<T> = { readonly [Name in keyof T]: (argument: never) => unknown };

type Answer<T> = T extends (...args: never) => infer R ? Awaited<R> : never;
type Argument<T> = T extends (argument: infer A) => unknown ? A : undefined;

/** The calls that one end of a link answers, and the checks of its messages. */
export interface LinkSetup<Theirs> {
  readonly answers: Readonly<Record<string, (argument: never) => unknown>>;
  /** The checks of the calls that this end answers. */
  readonly ours: Readonly<Record<string, CallChecks>>;
  /** The checks of the calls that this end makes. */
  readonly theirs: { readonly [Name in keyof Theirs]: CallChecks };
  readonly faults: Pick<LinkFaults, "countInvalid" | "onFault">;
}

const KINDS: ReadonlySet<unknown> = new Set(["call", "tell", "answer", "failure"]);

interface Message {
  readonly sluice: "call" | "tell" | "answer" | "failure";
  readonly id: number;
  readonly name: string;
  readonly value: unknown;
}

interface Waiting {
  readonly timer: NodeJS.Timeout;
  readonly name: string;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * Calls between two processes, over the channel of node:cluster.
 *
 * Calls arrive in the order in which they were made. Each call gets one answer, or rejects if the other process is
 * gone or does not answer in time. A message that fails its check is skipped; an answer that fails its check
 * rejects the call.
 */
export class ProcessLink<Theirs extends Calls<Theirs>> {
  readonly #peer: Peer;
  readonly #setup: LinkSetup<Theirs>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(peer: Peer, setup: LinkSetup<Theirs>) {
    this.#peer = peer;
    this.#setup = setup;
    const { onFault } = setup.faults;
    peer.on(
      "message",
      guarded(onFault, (message: unknown) => this.#onMessage(message)),
    );
    peer.on(
      "disconnect",
      guarded(onFault, () => this.#onGone()),
    );
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
      if (this.#waiting.size >= MAX_CALLS) return reject(new LinkError("too many calls are waiting", false));
      const id = ++this.#lastId;
      const onLate = () => {
        this.#waiting.delete(id);
        reject(new LinkError(`no answer to ${name} in ${timeoutMs} ms`, false));
      };
      const timer = setTimeout(onLate, timeoutMs).unref();
      const take = (value: unknown) => resolve(value as Answer<Theirs[Name]>);
      this.#waiting.set(id, { timer, name, resolve: take, reject });
      try {
        this.#send({ sluice: "call", id, name, value: argument });
      } catch (error) {
        // The argument cannot be cloned.
        this.#waiting.delete(id);
        clearTimeout(timer);
        reject(error);
      }
    });
  }

  /** Calls the other end without waiting for an answer. */
  tell<Name extends keyof Theirs & string>(name: Name, argument: Argument<Theirs[Name]>): void {
    if (this.#peer.connected) this.#send({ sluice: "tell", id: 0, name, value: argument });
  }

  #send(message: Message): void {
    // If the peer has just left, its `disconnect` rejects the waiting calls.
    this.#peer.send?.(message, () => {});
  }

  #onMessage(message: unknown): void {
    const { faults } = this.#setup;
    if (!isOurs(message)) return;
    if (!isMessage(message)) return void faults.countInvalid("message", "");
    if (message.sluice === "call" || message.sluice === "tell") {
      void this.#answer(message).catch(faults.onFault);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.sluice === "answer") this.#settle(waiting, message.value);
    else waiting.reject(this.#revived(waiting.name, message.value));
  }

  #settle({ name, resolve, reject }: Waiting, value: unknown): void {
    if (this.#setup.theirs[name as keyof Theirs].answer(value)) return void resolve(value);
    this.#setup.faults.countInvalid("answer", name);
    reject(new LinkError(`invalid answer to ${name}`, false));
  }

  async #answer({ sluice, id, name, value }: Message): Promise<void> {
    const reply = (kind: "answer" | "failure", content: unknown) => {
      if (sluice === "call" && this.#peer.connected) this.#send({ sluice: kind, id, name, value: content });
    };
    try {
      reply("answer", await this.#called(name, value));
    } catch (error) {
      const { plain, whole } = bared(error);
      try {
        reply("failure", whole);
      } catch {
        // A property of the error cannot be cloned.
        reply("failure", plain);
      }
    }
  }

  async #called(name: string, value: unknown): Promise<unknown> {
    const { answers, ours, faults } = this.#setup;
    const answer = Object.hasOwn(answers, name) ? answers[name] : undefined;
    if (answer === undefined) {
      faults.countInvalid("call", "");
      throw new TypeError(`unknown call ${name}`);
    }
    if (ours[name]?.argument(value) === false) {
      faults.countInvalid("argument", name);
      throw new TypeError(`invalid argument of ${name}`);
    }
    return await answer(value as never);
  }

  #revived(name: string, value: unknown): Error {
    const { data } = failureSchema.safeParse(value);
    if (data === undefined) {
      this.#setup.faults.countInvalid("failure", name);
      return new LinkError(`invalid failure of ${name}`, false);
    }
    if ("problems" in data) return new ConfigError(data.problems as readonly Problem[]);
    const error = new Error(data.message);
    if (data.stack !== undefined) error.stack = data.stack;
    return Object.assign(error, data.own);
  }

  #onGone(): void {
    for (const { timer, reject } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new LinkError("the other process is gone", true));
    }
    this.#waiting.clear();
  }
}

/** Other code may use the same channel. */
function isOurs(message: unknown): message is { readonly sluice: unknown } {
  return typeof message === "object" && message !== null && "sluice" in message;
}

function isMessage(message: { readonly sluice: unknown }): message is Message {
  const { sluice, id, name } = message as Partial<Message>;
  return KINDS.has(sluice) && Number.isSafeInteger(id) && typeof name === "string";
}

/**
 * An error as sent: structured clone keeps only message and stack, so own properties, such as a system error's
 * code, are added.
 */
const failureSchema = z.union([
  z.object({
    problems: z.array(
      z.object({
        file: z.string().optional(),
        at: z.object({ line: z.number(), column: z.number() }).loose().optional(),
        key: z.string(),
        message: z.string(),
      }),
    ),
  }),
  z.object({
    message: z.string(),
    stack: z.string().optional(),
    own: z.record(z.string(), z.unknown()).optional(),
  }),
]);

function bared(error: unknown): { readonly plain: unknown; readonly whole: unknown } {
  if (error instanceof ConfigError) {
    const { message, problems } = error;
    return { plain: { message }, whole: { problems } };
  }
  if (!(error instanceof Error)) {
    const plain = { message: String(error) };
    return { plain, whole: plain };
  }
  const plain = { message: error.message, stack: error.stack };
  return { plain, whole: { ...plain, own: { ...error } } };
}
