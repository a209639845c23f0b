import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { ListenAddress } from "../config/address-schema.ts";
import type { Problem } from "../config/problem.ts";
import type { Config } from "../config/server-schema.ts";
import { PRIVILEGED } from "./listen-problem.ts";

/** The bit of CAP_NET_BIND_SERVICE in a capability mask (capability.h). */
const NET_BIND_SERVICE = 10n;
const FIRST_FREE_PORT = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
const DEFAULT_FREE_PORT = 1024;

/** Returns what `serve` would refuse on this machine although the files are valid. `serverFile` is that of listen. */
export function machineProblems({ server, routes }: Config, serverFile: string): Problem[] {
  const listeners = [
    ...server.listen.map(({ address }) => ({ key: "listen", address })),
    ...(server.admin === undefined ? [] : [{ key: "admin", address: server.admin }]),
  ];
  const ofListeners = listeners.flatMap(({ key, address }): Problem[] => {
    const message = listenFault(address);
    return message === undefined ? [] : [{ file: serverFile, at: undefined, key, message }];
  });
  const ofKeys = routes.flatMap(({ name, file, auth }): Problem[] => {
    const place = auth?.jwt?.jwks ?? "";
    if (place === "" || /^https?:/.test(place) || isReadable(place)) return [];
    const message = `cannot read ${place}; expected a file with a JSON Web Key Set`;
    return [{ file: file ?? name, at: undefined, key: "auth.jwt.jwks", message }];
  });
  return [...ofListeners, ...ofKeys];
}

function listenFault(address: ListenAddress): string | undefined {
  if ("path" in address) {
    const directory = dirname(address.path);
    return isDirectory(directory) ? undefined : `the directory ${directory} does not exist; create it`;
  }
  const isPrivileged = address.port > 0 && address.port < firstFreePort();
  return isPrivileged && !mayBind() ? `cannot listen on port ${address.port}: ${PRIVILEGED}` : undefined;
}

function firstFreePort(): number {
  return Number(textOf(FIRST_FREE_PORT) ?? DEFAULT_FREE_PORT);
}

/** Whether this process may listen on privileged ports. Other systems than Linux let root do it. */
function mayBind(): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(textOf("/proc/self/status") ?? "")?.[1];
  if (mask === undefined) return process.getuid === undefined || process.getuid() === 0;
  return ((BigInt(`0x${mask}`) >> NET_BIND_SERVICE) & 1n) === 1n;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
