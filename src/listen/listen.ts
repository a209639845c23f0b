import { lstatSync, unlinkSync } from "node:fs";
import { connect, type ListenOptions, type Server } from "node:net";
import type { ListenAddress } from "../config/server-schema.ts";

/** How long whoever holds a unix socket may take to show that it is alive; a full backlog counts as life. */
const ALIVE_WITHIN_MS = 1_000;

/**
 * Connections that wait to be accepted; Linux takes no more than net.core.somaxconn of them. Node's own 511 is too
 * few when all clients of a stream come back at once: what does not fit is tried again after 1, 3, 7, 15 s ...
 */
const BACKLOG = 65_535;

/**
 * Makes a server listen on an address. A unix socket on which nobody listens any more, as a process that was
 * killed leaves it behind, is taken over; anything else at that path is left alone.
 */
export async function listenOn(server: Server, address: ListenAddress): Promise<void> {
  const options = "path" in address ? { path: address.path } : { ...address };
  try {
    await listen(server, options);
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    if (!isTaken || !("path" in address) || !(await isAbandoned(address.path))) throw error;
    unlinkSync(address.path);
    await listen(server, options);
  }
}

function listen(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...options, backlog: BACKLOG }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
}

/** Only a refused connection tells: a file that is no socket refuses too, and is somebody's. */
function isAbandoned(path: string): Promise<boolean> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect({ path });
    const answer = (isIt: boolean) => {
      socket.destroy();
      resolve(isIt);
    };
    socket.setTimeout(ALIVE_WITHIN_MS, () => answer(false));
    socket.once("connect", () => answer(false));
    socket.once("error", (error: NodeJS.ErrnoException) => answer(error.code === "ECONNREFUSED"));
  });
}
