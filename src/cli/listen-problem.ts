import type { Problem } from "../config/problem.ts";

const EXPLAINED: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EADDRNOTAVAIL: "this machine has no such address",
  EAFNOSUPPORT: "this machine does not support this kind of address",
  ENOTFOUND: "the host does not exist",
  EAI_AGAIN: "the host name cannot be resolved now",
  ENOENT: "the directory does not exist",
  ENOTDIR: "the directory does not exist",
  EINVAL: "not a valid address",
  ENAMETOOLONG: "the path is too long for a socket",
};

/** The problem of a port below 1024 and its remedy. */
export const PRIVILEGED =
  "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE (AmbientCapabilities in systemd, or setcap)";

/** Returns a problem for an error of listening that the user can solve; undefined for any other error. */
export function listenProblem(error: unknown, where: Pick<Problem, "file" | "key">): Problem | undefined {
  if (!(error instanceof Error)) return undefined;
  const {
    code = "",
    syscall = "",
    address,
    port,
    hostname,
  } = error as NodeJS.ErrnoException & {
    readonly address?: string;
    readonly port?: number;
    readonly hostname?: string;
  };
  const isPrivileged = code === "EACCES" && port !== undefined && port < 1024;
  const explained = isPrivileged ? PRIVILEGED : EXPLAINED[code];
  if (explained === undefined || !["listen", "bind", "getaddrinfo"].includes(syscall)) return undefined;
  const host = address ?? hostname ?? "";
  const isPath = host.startsWith("/");
  const bracketed = host.includes(":") ? `[${host}]` : host;
  const name = isPath ? `unix:${host}` : port === undefined ? bracketed : `${bracketed}:${port}`;
  return { ...where, at: undefined, message: `cannot listen on ${name}: ${explained} (${code})` };
}
