import type { Worker } from "node:cluster";
import { guarded } from "../../base/guard.ts";

/** A connection that the primary has accepted, as node:cluster sends it to a worker. */
interface Handle {
  close(): void;
}

/** The message with which node:cluster sends a connection: `key` names the listener, `seq` the message. */
interface NewConnection {
  readonly act: "newconn";
  readonly key: unknown;
  readonly seq: number;
}

/** The worker that each connection was sent to last: node:cluster sends a refused connection to another worker. */
const holders = new WeakMap<Handle, Worker>();

/**
 * Closes the connections that were sent to a worker but not accepted by it: the worker died, or had no file descriptor
 * left for them.
 *
 * node:cluster sends a worker one connection at a time for each listener, and waits without a bound for the worker to
 * acknowledge it. Without an acknowledgement the client of that connection waits for ever, and the worker gets no
 * further connection. Closing the primary's handle of a connection that the worker has taken has no effect.
 *
 * - Assumed of Node 20, 22 and 24: the primary sends `{ act: "newconn", key, seq }` with the handle by
 *   `worker.process.send`; the process emits `internalMessage` with `NODE_HANDLE_ACK` or `NODE_HANDLE_NACK` for each
 *   handle, in the order of sending, and takes `{ cmd: "NODE_CLUSTER", ack: seq, accepted }` for the worker's answer.
 * - Without it: after a shortage of files a worker serves no new client, and clients of a worker that died hang.
 * - Can go when node:cluster closes a handle that was not acknowledged (NODE_HANDLE_NACK), and those of a worker that
 *   exits.
 */
export function closeUndelivered(worker: Worker, onFault: (error: unknown) => void): void {
  const given = new Map<unknown, Handle>();
  /** Connections that are not acknowledged yet, in the order of sending. */
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
    // The answer that the worker will not send. As if it had taken the connection: another worker may have no file
    // descriptor for it either.
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
