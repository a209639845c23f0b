import type { Worker } from "node:cluster";
import { guarded } from "../base/guard.ts";

/** A connection that the primary has accepted, as node:cluster passes it on. */
interface Handle {
  close(): void;
}

/** What node:cluster sends with a connection: `key` is its listener, and `seq` what the answer refers to. */
interface NewConnection {
  readonly act: "newconn";
  readonly key: unknown;
  readonly seq: number;
}

/** To whom each was given last: one that a worker did not want is given to another. */
const holders = new WeakMap<Handle, Worker>();

/**
 * Closes the connections that a worker was given and did not take: because it died, or has no file left for them.
 *
 * node:cluster gives each worker one at a time for each listener and waits for its word, however long. Without
 * one the client of that connection would wait for as long as it likes, and the worker would get no other ever
 * again. To close one that was taken does nothing.
 */
export function closeUndelivered(worker: Worker, onFault: (error: unknown) => void): void {
  const given = new Map<unknown, Handle>();
  /** Those on their way; Node sends one after the other. */
  const underWay: { readonly seq: number; readonly handle: Handle }[] = [];
  const channel = worker.process;
  const send = channel.send.bind(channel);
  Object.assign(channel, {
    send(message: unknown, handle: unknown, ...rest: unknown[]): unknown {
      if (isNewConnection(message) && isHandle(handle)) {
        given.set(message.key, handle);
        holders.set(handle, worker);
        underWay.push({ seq: message.seq, handle });
      }
      return Reflect.apply(send, channel, [message, handle, ...rest]);
    },
  });
  const onInternalMessage = (message: { readonly cmd?: unknown } | null) => {
    const isLost = message?.cmd === "NODE_HANDLE_NACK";
    if (!isLost && message?.cmd !== "NODE_HANDLE_ACK") return;
    const first = underWay.shift();
    if (first === undefined || !isLost) return;
    // The word that will not come, as if it had been taken: another worker may have no file for it either.
    first.handle.close();
    channel.emit("internalMessage", { cmd: "NODE_CLUSTER", ack: first.seq, accepted: true });
  };
  channel.on("internalMessage", guarded(onFault, onInternalMessage));
  const close = guarded(onFault, (handle: Handle) => handle.close());
  worker.once("exit", () => {
    for (const handle of given.values()) if (holders.get(handle) === worker) close(handle);
  });
}

function isNewConnection(message: unknown): message is NewConnection {
  return typeof message === "object" && message !== null && "act" in message && message.act === "newconn";
}

function isHandle(handle: unknown): handle is Handle {
  return typeof handle === "object" && handle !== null && "close" in handle;
}
