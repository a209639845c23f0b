import type { Target } from "../target.ts";
import type { SluiceFacts, SluiceListener } from "./options.ts";

const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** Returns the listener of sluice that a target reaches; undefined for another backend. */
export function sluiceBehind({ servers }: Target, { listeners }: SluiceFacts): SluiceListener | undefined {
  return listeners.find((listener) => servers.some((server) => leadsTo(server, listener)));
}

function leadsTo(server: string, { address, isWildcard }: SluiceListener): boolean {
  if (server.startsWith("unix:") || address.startsWith("unix:")) return server === address;
  const [host, port] = splitPort(server);
  const [ownHost, ownPort] = splitPort(address);
  if (port !== ownPort) return false;
  if (host === ownHost || (LOOPBACK.has(host) && LOOPBACK.has(ownHost))) return true;
  // A name without a dot may be a container or a service that runs sluice; other names are other machines.
  return isWildcard && (LOOPBACK.has(host) || !host.includes("."));
}

function splitPort(address: string): readonly [host: string, port: string] {
  const at = address.lastIndexOf(":");
  return [address.slice(0, at), address.slice(at + 1)];
}
