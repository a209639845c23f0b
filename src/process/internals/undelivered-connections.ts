import type { Worker } from "node:cluster";
import { guarded } from "../../base/guard.ts";

/** A connection that the primary has accepted, as node:cluster passes it to a worker. */
interface Handle {
  close(): void;
}

/** The message of node:cluster with a connection: `key` names its listener, and the answer refers to `seq`. */
interface NewConnection {
  readonly act: "newconn";
  readonly key: unknown;
  readonly seq: number;
}

/** The worker that got each connection last: a connection that a worker rejects is given to another. */
const holders = new WeakMap<Handle, Worker>();

/**
 * Closes the connections that a worker was given but did not take, because it ended or has no file left for them.
 *
 * node:cluster gives a worker one connection at a time for each listener, and waits without a limit for its answer.
 * Without an answer the client would wait as long, and the worker would never get another connection. Closing a
 * connection that was taken has no effect.
 */
export function closeUndelivered(worker: Worker, onFault: (error: unknown) => void): void {
  const given = new Map<unknown, Handle>();
  /** Connections being sent; Node sends them one after the other. */
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
    // Stands in for the missing answer, as if the worker had taken the connection: another worker may have no file
    // left either.
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
