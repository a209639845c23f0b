import { createServer } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { ListenAddress, ServerConfig } from "../config/server-schema.ts";
import { listenOn } from "../listen/listen.ts";

/**
 * Rejects with the system's error when something else has one of the addresses that a configuration adds.
 *
 * Asked before any worker listens: node:cluster numbers the attempts of each process at an address, and after one
 * that failed in one of them they would no longer mean the same socket. A unix socket that nobody listens on any
 * more is removed here as well, once, before two workers find it.
 */
export async function tryAddresses(
  listen: ServerConfig["listen"],
  present: ServerConfig["listen"] = [],
): Promise<void> {
  const added = listen
    .map(({ address }) => address)
    .filter((address) => !present.some((known) => isDeepStrictEqual(known.address, address)));
  // All at once, because two of them may overlap.
  const tried = added.filter((address) => !isFreePort(address));
  // Whoever comes in this moment is too early.
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

/** Whatever port is free; it always is. */
const isFreePort = (address: ListenAddress): boolean => "port" in address && address.port === 0;
