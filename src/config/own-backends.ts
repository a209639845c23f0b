import { realpathSync } from "node:fs";
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { readAddress } from "../http/address.ts";
import type { ListenAddress } from "./address-schema.ts";
import type { RouteConfig } from "./route-schema.ts";
import type { BackendAddress } from "./scalars.ts";
import type { ServerConfig } from "./server-schema.ts";

/** A backend of a route that is one of the gateway's own listeners. */
export interface OwnBackend {
  /** Where its url would stand in the route's file, were every short form written out. */
  readonly path: readonly PropertyKey[];
  readonly url: string;
  /** Of the listener. */
  readonly key: "listen" | "admin";
}

/**
 * Finds the backends of a route that are the gateway itself, each url once.
 *
 * One request to such a route opened 8,769 files in five seconds. The admin listener makes no loop, but a route to
 * it would show strangers what only operators may see. A name that leads back through DNS, or through another
 * proxy, is found at the first request.
 */
export function ownBackends(
  { upstream, stages }: Pick<RouteConfig, "upstream" | "stages">,
  { listen, admin }: Pick<ServerConfig, "listen" | "admin">,
): OwnBackend[] {
  const listeners = [
    ...listen.map(({ address }) => ({ key: "listen" as const, address })),
    ...(admin === undefined ? [] : [{ key: "admin" as const, address: admin }]),
  ];
  const places = [
    { path: ["upstream"], upstream },
    ...Object.entries(stages).map(([name, stage]) => {
      return { path: ["stages", name, "upstream"], upstream: stage.upstream };
    }),
  ];
  const found = new Map<string, OwnBackend>();
  for (const { path, upstream: group } of places) {
    for (const [at, { url }] of (group?.backends ?? []).entries()) {
      const listener = listeners.find(({ address }) => leadsTo(url, address));
      if (listener === undefined || found.has(url.url)) continue;
      found.set(url.url, { path: [...path, "backends", at, "url"], url: url.url, key: listener.key });
    }
  }
  return [...found.values()];
}

/** What is wrong with such a backend and what to change; `listenKey` is what names the listener's address. */
export function describeOwnBackend({ url, key }: OwnBackend, listenKey: string): string {
  const what =
    key === "admin" ? "the admin listener of this gateway" : "an address that this gateway listens on";
  return `${url} is ${what}; expected the address of an application, or another ${listenKey}`;
}

/** Whether a connection to a backend would be accepted by a listener. */
function leadsTo(backend: BackendAddress, listener: ListenAddress): boolean {
  const { socketPath } = backend;
  if ("path" in listener || socketPath !== undefined) {
    return "path" in listener && socketPath !== undefined && realPath(listener.path) === realPath(socketPath);
  }
  // Port 0 takes a free one, which no file knows.
  if (listener.port === 0 || listener.port !== backend.port) return false;
  const host = nameOf(listener.host ?? "::");
  if (host === nameOf(backend.host)) return true;
  const targets = addressesOf(backend.host);
  if (host === "0.0.0.0") return targets.some((address) => isIP(address) === 4 && isOfThisMachine(address));
  // Node listens on IPv4 as well.
  if (host === "::") return targets.some(isOfThisMachine);
  const own = addressesOf(host);
  return targets.some((address) => own.includes(address));
}

/** The addresses that a host means on any machine, and this machine's where it is its name; none for other names. */
function addressesOf(host: string): readonly string[] {
  const name = nameOf(host);
  if (name === "localhost" || name.endsWith(".localhost")) return ["127.0.0.1", "::1"];
  // Connecting to the unspecified address reaches the loopback.
  if (name === "0.0.0.0") return ["127.0.0.1"];
  if (name === "::") return ["::1"];
  if (name === hostname().toLowerCase()) return interfaceAddresses();
  const address = readAddress(name);
  return address === undefined ? [] : [address];
}

function isOfThisMachine(address: string): boolean {
  return /^127\./.test(address) || address === "::1" || interfaceAddresses().includes(address);
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses = []) => addresses)
    .map(({ address }) => readAddress(address) ?? address);
}

const nameOf = (host: string): string => host.toLowerCase().replace(/\.$/, "");

/** The path without symbolic links: /var/run is /run on many systems. The socket itself may not be there yet. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return realDirectory(resolve(path));
  }
}

function realDirectory(path: string): string {
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}
