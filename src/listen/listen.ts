import { lstatSync, unlinkSync } from "node:fs";
import { connect, type ListenOptions, type Server } from "node:net";
import type { ListenAddress } from "../config/server-schema.ts";

/** How long, in ms, the owner of a unix socket may take to accept a connection; a full backlog counts as alive. */
const ALIVE_WITHIN_MS = 1_000;

/**
 * The maximum number of connections that wait to be accepted; Linux allows at most net.core.somaxconn. Node's default
 * of 511 is too low when all clients of a stream reconnect at once: the others try again after 1, 3, 7, 15 s and so on.
 */
const BACKLOG = 65_535;

/**
 * Makes a server listen on an address. Takes over a unix socket without a listener, which a killed process leaves behind;
 * any other file at that path is left alone. Rejects with the system's error.
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

/** Whether a path is a socket that refuses connections; another kind of file refuses too, but must not be removed. */
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
