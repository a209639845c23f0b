import * as z from "zod";
import { withoutFinalSlashes } from "../http/final-slashes.ts";
import { pathFault } from "../http/routing-path.ts";
import { pathCharacters } from "./scalars.ts";
import { unsetVariable } from "./variables.ts";

const EXPECTED_PREFIX = "expected a path such as /api";

const segments = z
  .string(EXPECTED_PREFIX)
  .regex(new RegExp(`^/${pathCharacters}$`), {
    error: ({ input }) => (typeof input === "string" ? unsetVariable(input) : undefined) ?? EXPECTED_PREFIX,
  })
  .superRefine((path, ctx) => {
    const fault = pathFault(path);
    if (fault !== undefined) ctx.addIssue(`expected a path without ${fault}`);
  })
  .transform((path) => withoutFinalSlashes(path));

/** The `rewrite` of a route: how URLs for the backend differ from those of the client. */
export const rewriteSchema = z.strictObject({
  stripPrefix: segments
    .prefault("/")
    .describe("Removed from the start of the path, if it ends at a segment's end."),
  addPrefix: segments.prefault("/").describe("Added to the start of the path, after stripPrefix."),
  redirects: z
    .enum(["auto", "off"])
    .prefault("auto")
    .describe(
      "auto: Location and Refresh that name the backend name sluice instead, as with nginx's proxy_redirect default, and Destination of COPY and MOVE names the backend. off: these fields pass unchanged.",
    ),
});

/** The `rewrite` of a route after validation. */
export type RewriteConfig = z.output<typeof rewriteSchema>;
