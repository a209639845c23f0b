import { type ListenAddress, parseAddress } from "../../config/address-schema.ts";
import type { ListenConfig } from "../../config/listen-schema.ts";
import { createTrust } from "../../http/address.ts";
import { GenerateFault } from "./fault.ts";
import { isOpen } from "./text.ts";

/** The addresses of sluice that nginx forwards to; either all use TLS or none. */
export interface Servers {
  readonly addresses: readonly string[];
  readonly hasTls: boolean;
}

const NAME_ONE = "name an address with --server, such as --server 127.0.0.1:8000";

/** Returns the servers of the command line, else the listeners of sluice.yaml. Throws GenerateFault. */
export function serversOf(listen: readonly ListenConfig[], named: readonly string[]): Servers {
  return named.length > 0 ? namedServers(listen, named) : ownServers(listen);
}

function ownServers(listen: readonly ListenConfig[]): Servers {
  const usable = listen.filter(
    ({ address, proxyProtocol }) => !proxyProtocol && !("port" in address && address.port === 0),
  );
  if (usable.length === 0) {
    const why = listen.some(({ proxyProtocol }) => proxyProtocol)
      ? "listen has only addresses with proxyProtocol, which nginx does not send over HTTP"
      : "listen has only addresses whose port is not fixed";
    throw new GenerateFault(`${why}; ${NAME_ONE}`);
  }
  const plain = usable.filter(({ tls }) => tls === undefined);
  const chosen = plain.length > 0 ? plain : usable;
  return { addresses: chosen.map(({ address }) => addressOf(address)), hasTls: plain.length === 0 };
}

function namedServers(listen: readonly ListenConfig[], named: readonly string[]): Servers {
  const listeners = named.map((name) => listenerOf(listen, name));
  const withHeader = listeners.findIndex((listener) => listener?.proxyProtocol);
  if (withHeader >= 0) {
    throw new GenerateFault(
      `--server ${named[withHeader]} is a listener with proxyProtocol, which nginx does not send over HTTP; name another address`,
    );
  }
  const tls = listeners.filter((listener) => listener?.tls !== undefined).length;
  if (tls > 0 && tls < named.length) {
    throw new GenerateFault(
      "some of the --server addresses use TLS and some do not; name addresses of one kind",
    );
  }
  return { addresses: named, hasTls: tls > 0 };
}

/**
 * Returns the listener with the same port or path; the host is ignored, because nginx may use another name for it.
 */
function listenerOf(listen: readonly ListenConfig[], name: string): ListenConfig | undefined {
  const address = parseAddress(name);
  if (address === undefined) {
    if (isOpen(name)) return undefined;
    throw new GenerateFault(`--server is HOST:PORT or unix:/PATH, not ${name}`);
  }
  if ("port" in address && (address.host === undefined || address.port === 0)) {
    throw new GenerateFault(`--server is HOST:PORT or unix:/PATH, not ${name}`);
  }
  return listen.find(({ address: own }) =>
    "path" in own
      ? "path" in address && own.path === address.path
      : "port" in address && own.port === address.port,
  );
}

const ANY: ReadonlySet<string | undefined> = new Set([undefined, "0.0.0.0", "::"]);

function addressOf(address: ListenAddress): string {
  if ("path" in address) return `unix:${address.path}`;
  const { host, port } = address;
  if (host === undefined || ANY.has(host)) return `127.0.0.1:${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Returns a warning if sluice does not trust nginx's fields about the client; undefined if it does, or may. */
export function trustNote(
  addresses: readonly string[],
  trustedProxies: readonly string[],
): string | undefined {
  if (addresses.some((address) => isOpen(address))) return undefined;
  const trust = createTrust(trustedProxies);
  for (const address of addresses) {
    const parsed = parseAddress(address);
    if (parsed === undefined || "path" in parsed) continue;
    // A connection to an address of the same machine comes from that address.
    const peer = parsed.host === "localhost" ? "127.0.0.1" : parsed.host;
    const isOnThisMachine = /^127\.|^::1$/.test(peer ?? "");
    if (isOnThisMachine && !trust.isTrusted(peer)) {
      return `trustedProxies lacks ${peer}, from which nginx connects: sluice treats nginx as the client until you add it`;
    }
    if (!isOnThisMachine && trustedProxies.length === 0) {
      return "trustedProxies is empty: sluice treats nginx as the client until you add nginx's address";
    }
  }
  return undefined;
}
