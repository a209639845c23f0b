import * as z from "zod";
import { address, EXPECTED_ADDRESS, type ListenAddress } from "./address-schema.ts";
import { secret } from "./secret.ts";

/** The admin listener: health, metrics and the dashboard. */

const LOOPBACK = "127.0.0.1";
/** In characters; for a listener that other machines can reach. */
const SHORTEST_TOKEN = 12;

/** The address of the admin listener; undefined for none. A port alone is on the loopback address, unlike in `listen`. */
export const admin = z
  // The text "false" too, because the value of a variable is a text.
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
    "The token that the admin listener requires, or file:/path. Required if other machines can reach its address.",
  );

/** Whether only this machine can reach an address. */
export function isLocal(where: ListenAddress): boolean {
  return "path" in where || isLoopbackHost(where.host ?? "");
}

/** Whether a host is a name or an address of the loopback, as a Host field or a configuration spells it. */
export function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);
}

/** Refuses an address that other machines can reach without a token. */
export function refuseOpenAdmin(
  server: { readonly admin: ListenAddress | undefined; readonly adminToken?: string | undefined },
  ctx: z.RefinementCtx,
): void {
  if (server.admin === undefined || isLocal(server.admin)) return;
  const { adminToken: token } = server;
  if (token !== undefined && token.length < SHORTEST_TOKEN) {
    const message = `expected at least ${SHORTEST_TOKEN} characters, because other machines can try tokens: openssl rand -hex 32`;
    ctx.addIssue({ code: "custom", path: ["adminToken"], message });
  }
  if (token !== undefined) return;
  ctx.addIssue({
    code: "custom",
    path: ["admin"],
    message: "other machines can reach this address: set adminToken in sluice.yaml, or use 127.0.0.1",
  });
}
