import type { Target } from "../target.ts";
import type { SluiceFacts, SluiceListener } from "./options.ts";

const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

/** The listener of sluice that a target leads to; undefined when it is another backend. */
export function sluiceBehind({ servers }: Target, { listeners }: SluiceFacts): SluiceListener | undefined {
  return listeners.find((listener) => servers.some((server) => leadsTo(server, listener)));
}

function leadsTo(server: string, { address, isWildcard }: SluiceListener): boolean {
  if (server.startsWith("unix:") || address.startsWith("unix:")) return server === address;
  const [host, port] = splitPort(server);
  const [ownHost, ownPort] = splitPort(address);
  if (port !== ownPort) return false;
  if (host === ownHost || (LOOPBACK.has(host) && LOOPBACK.has(ownHost))) return true;
  // A name without a dot is a container's or a service's; other hosts are other machines.
  return isWildcard && (LOOPBACK.has(host) || !host.includes("."));
}

function splitPort(address: string): readonly [host: string, port: string] {
  const at = address.lastIndexOf(":");
  return [address.slice(0, at), address.slice(at + 1)];
}
