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
  /** The path of its url in the route's file, with every short form expanded. */
  readonly path: readonly PropertyKey[];
  readonly url: string;
  /** The key of the listener in sluice.yaml. */
  readonly key: "listen" | "admin";
}

/**
 * Finds the backends of a route that are the gateway itself, each url once.
 *
 * One request to such a route opened 8,769 files in five seconds. A route to the admin listener is no loop, but would
 * show clients what only operators may see. A loop through DNS or through another proxy is found at its first request.
 */
export function ownBackends(
  { upstream, stages }: Pick<RouteConfig, "upstream" | "stages">,
  { listen, admin }: Pick<ServerConfig, "listen" | "admin">,
): OwnBackend[] {
  const listeners = [
    ...listen.map(({ address }) => ({ key: "listen" as const, address })),
    ...(admin === undefined ? [] : [{ key: "admin" as const, address: admin }]),
  ];
  const groups = [
    { path: ["upstream"], upstream },
    ...Object.entries(stages).map(([name, environment]) => {
      return { path: ["stages", name, "upstream"], upstream: environment.upstream };
    }),
  ];
  const found = new Map<string, OwnBackend>();
  for (const { path, upstream: group } of groups) {
    for (const [at, { url }] of (group?.backends ?? []).entries()) {
      const listener = listeners.find(({ address }) => leadsTo(url, address));
      if (listener === undefined || found.has(url.url)) continue;
      found.set(url.url, { path: [...path, "backends", at, "url"], url: url.url, key: listener.key });
    }
  }
  return [...found.values()];
}

/** Returns the problem's text, with the remedy; `listenKey` is the key or flag of the listener's address. */
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
  // Port 0 stands for a free port, which a file cannot name.
  if (listener.port === 0 || listener.port !== backend.port) return false;
  const host = nameOf(listener.host ?? "::");
  if (host === nameOf(backend.host)) return true;
  const targets = addressesOf(backend.host);
  if (host === "0.0.0.0") return targets.some((address) => isIP(address) === 4 && isOfThisMachine(address));
  // On ::, Node accepts IPv4 connections too.
  if (host === "::") return targets.some(isOfThisMachine);
  const own = addressesOf(host);
  return targets.some((address) => own.includes(address));
}

/** Returns the addresses of a host without DNS: of an address, of localhost, and of this machine's name. */
function addressesOf(host: string): readonly string[] {
  const name = nameOf(host);
  if (name === "localhost" || name.endsWith(".localhost")) return ["127.0.0.1", "::1"];
  // A connection to the unspecified address goes to the loopback.
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

/** Returns the path without symbolic links: /var/run is /run on many systems. The socket itself may not exist yet. */
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
