import * as z from "zod";

/** A TCP address, or the path of a unix socket. */
export type ListenAddress =
  | { readonly host: string | undefined; readonly port: number }
  | { readonly path: string };

export const EXPECTED_ADDRESS = "expected a port, host:port such as 127.0.0.1:8000, or unix:/path";

/** Parses `8000`, `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000` or `unix:/path`; port 0 stands for a free port. */
export function parseAddress(text: string): ListenAddress | undefined {
  if (text.startsWith("unix:/")) return { path: text.slice(5) };
  const parts = /^(?:(?<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):)?(?<port>\d{1,5})$/.exec(text)?.groups;
  const port = Number(parts?.["port"]);
  if (parts === undefined || port > 65_535) return undefined;
  return { host: parts["host"]?.replace(/^\[(.*)\]$/, "$1"), port };
}

/** Returns an address as a configuration spells it. */
export function spellAddress(address: ListenAddress): string {
  if ("path" in address) return `unix:${address.path}`;
  const { host, port } = address;
  if (host === undefined) return String(port);
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

const ADDRESS_PATTERN = "^(unix:/.+|([A-Za-z0-9._-]+:|\\[[0-9A-Fa-f:.]+\\]:)?[0-9]{1,5})$";

/** An address to listen on. */
export const address = z
  .union([z.string().meta({ pattern: ADDRESS_PATTERN }), z.int().min(0).max(65_535)], EXPECTED_ADDRESS)
  .transform((value, ctx): ListenAddress => {
    const parsed = parseAddress(String(value));
    if (parsed !== undefined) return parsed;
    ctx.addIssue(EXPECTED_ADDRESS);
    return z.NEVER;
  });
