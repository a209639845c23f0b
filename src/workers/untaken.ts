import type { Worker } from "node:cluster";

/** A connection that the primary has accepted, as node:cluster passes it on. */
interface Handle {
  close(): void;
}

/** To whom each was given last: one that a worker did not want is given to another. */
const holders = new WeakMap<Handle, Worker>();

/**
 * Closes the connections that a worker was given and had not taken when it died.
 *
 * node:cluster gives each worker one at a time for each listener, waits for its word, and forgets those for which
 * none comes: their clients would wait for as long as they like. To close one that was taken does nothing.
 */
export function closeUntaken(worker: Worker): void {
  const given = new Map<unknown, Handle>();
  const channel = worker.process;
  const send = channel.send.bind(channel);
  Object.assign(channel, {
    send(message: unknown, handle: unknown, ...rest: unknown[]): unknown {
      if (isNewConnection(message) && isHandle(handle)) {
        given.set(message.key, handle);
        holders.set(handle, worker);
      }
      return Reflect.apply(send, channel, [message, handle, ...rest]);
    },
  });
  worker.once("exit", () => {
    for (const handle of given.values()) if (holders.get(handle) === worker) handle.close();
  });
}

function isNewConnection(message: unknown): message is { readonly key: unknown } {
  return typeof message === "object" && message !== null && "act" in message && message.act === "newconn";
}

function isHandle(handle: unknown): handle is Handle {
  return typeof handle === "object" && handle !== null && "close" in handle;
}
