import { createServer } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { ListenAddress, ServerConfig } from "../config/server-schema.ts";
import { listenOn } from "../listen/listen.ts";

/**
 * Rejects with the system's error if an address that a configuration adds is in use.
 *
 * Must run before any worker listens: node:cluster numbers each process's attempts to listen at an address, and a
 * failure in only one process would make the same number mean different sockets. It also removes a stale unix
 * socket once, before two workers find it.
 */
export async function tryAddresses(
  listen: ServerConfig["listen"],
  present: ServerConfig["listen"] = [],
): Promise<void> {
  const added = listen
    .map(({ address }) => address)
    .filter((address) => !present.some((known) => isDeepStrictEqual(known.address, address)));
  // All at the same time, because two of them may overlap.
  const tried = added.filter((address) => !isFreePort(address));
  // A client that connects now is too early.
  const closed = () => createServer((socket) => socket.destroy());
  const servers = tried.map((address) => ({ address, server: closed() }));
  try {
    for (const { address, server } of servers) await listenOn(server, address);
  } finally {
    await Promise.all(
      servers.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }
}

/** Port 0 stands for any free port, so it is never in use. */
const isFreePort = (address: ListenAddress): boolean => "port" in address && address.port === 0;
