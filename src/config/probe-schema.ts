import * as z from "zod";
import { isLocal } from "./admin-schema.ts";
import type { ListenConfig } from "./listen-schema.ts";

/** The `probe` of sluice.yaml: a stream that sluice itself makes, to measure the path to clients without a backend. */

const MAX_STREAMS = 1_000;

const bounds = z.strictObject({
  streams: z.int().min(1).max(MAX_STREAMS).prefault(10).describe("Probe streams open at a time; 503 beyond."),
});

/** The bounds of the probe's stream. */
export type ProbeConfig = z.output<typeof bounds>;

export const probe = z
  .union([z.boolean(), bounds], "expected true, false or an object with streams")
  .transform((value): ProbeConfig | undefined => {
    if (value === false) return undefined;
    return value === true ? bounds.parse({}) : value;
  })
  .prefault(false)
  .describe(
    "true serves GET /.sluice/probe, a stream that sluice itself makes, for sluice probe; or { streams }. Requires the adminToken if other machines can reach a listener.",
  );

/** Whether the probe's stream requires the admin token, because other machines can reach one of the listeners. */
export const asksForToken = (listen: readonly ListenConfig[]): boolean =>
  listen.some(({ address }) => !isLocal(address));

/** Refuses a probe that other machines could use without a token. */
export function refuseOpenProbe(
  server: {
    readonly listen: readonly ListenConfig[];
    readonly probe: ProbeConfig | undefined;
    readonly adminToken?: string | undefined;
  },
  ctx: z.RefinementCtx,
): void {
  if (server.probe === undefined || server.adminToken !== undefined || !asksForToken(server.listen)) return;
  ctx.addIssue({
    code: "custom",
    path: ["probe"],
    message: "other machines can reach an address of listen: set adminToken in sluice.yaml",
  });
}
