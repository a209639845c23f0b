import * as z from "zod";
import { address, EXPECTED_ADDRESS, type ListenAddress } from "./address-schema.ts";
import { secret } from "./secret.ts";

/** The admin listener: health, metrics and the dashboard. */

const LOOPBACK = "127.0.0.1";

/** Where the admin listener is; undefined for none. A port alone is one of the loopback, unlike in `listen`. */
export const admin = z
  // The text too, because that is what a variable holds.
  .union([z.literal(false), z.literal("false"), address], `${EXPECTED_ADDRESS}, or false`)
  .transform((value): ListenAddress | undefined => {
    if (value === false || value === "false") return undefined;
    return "port" in value ? { host: value.host ?? LOOPBACK, port: value.port } : value;
  })
  .prefault(`${LOOPBACK}:9900`)
  .describe(
    "Health, metrics and dashboard: host:port, a port of 127.0.0.1, unix:/path, or false. Off with --to.",
  );

export const adminToken = secret
  .optional()
  .describe(
    "What the admin listener asks for, or file:/path. Required for an address that others can reach.",
  );

/** Whether only this machine can reach an address. */
export function isLocal(where: ListenAddress): boolean {
  return "path" in where || isLoopbackHost(where.host ?? "");
}

/** The names and addresses of this machine for itself, as a Host field or a configuration spells them. */
export function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);
}

/** Refuses an address that others can reach without anything that they must know. */
export function refuseOpenAdmin(
  server: { readonly admin: ListenAddress | undefined; readonly adminToken?: string | undefined },
  ctx: z.RefinementCtx,
): void {
  if (server.admin === undefined || isLocal(server.admin) || server.adminToken !== undefined) return;
  ctx.addIssue({
    code: "custom",
    path: ["admin"],
    message: "expected an adminToken beside an address that others can reach",
  });
}
