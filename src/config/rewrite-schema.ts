import * as z from "zod";
import { withoutFinalSlashes } from "../http/final-slashes.ts";
import { pathFault } from "../http/routing-path.ts";
import { pathCharacters } from "./scalars.ts";
import { unsetVariable } from "./variables.ts";

const EXPECTED_PREFIX = "expected a path such as /api";

const PATH = new RegExp(`^/${pathCharacters}$`);

const segments = z
  .string(EXPECTED_PREFIX)
  .regex(PATH, {
    error: ({ input }) => (typeof input === "string" ? unsetVariable(input) : undefined) ?? EXPECTED_PREFIX,
  })
  .superRefine((path, ctx) => {
    const fault = pathFault(path);
    if (fault !== undefined) ctx.addIssue(`expected a path without ${fault}`);
  })
  .transform((path) => withoutFinalSlashes(path));

const EXPECTED_DOMAIN = "expected a host name such as app.example.com, or remove";

const cookieDomain = z
  .string(EXPECTED_DOMAIN)
  .regex(/^(?=.{1,253}$)\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/, EXPECTED_DOMAIN)
  .toLowerCase();

const cookiePath = z.string(EXPECTED_PREFIX).regex(PATH, EXPECTED_PREFIX);

const cookies = z.strictObject({
  domain: z
    .union(
      [cookieDomain, z.record(cookieDomain, cookieDomain)],
      "expected a host name such as app.example.com, remove, or { backend.internal: app.example.com }",
    )
    .optional()
    .describe(
      "The new value of each Domain attribute, or new values by the backend's (nginx: proxy_cookie_domain); remove takes the attribute out, so that the cookie belongs to the host of the request.",
    ),
  path: z
    .union(
      [z.literal("auto"), z.record(cookiePath, cookiePath)],
      "expected auto, or paths such as { /account: /app/account }",
    )
    .optional()
    .describe(
      "auto: a Path attribute gets stripPrefix and loses addPrefix; or new beginnings of paths by the backend's (nginx: proxy_cookie_path). A __Host- cookie keeps its path.",
    ),
});

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
  cookies: cookies
    .prefault({})
    .describe("Attributes of the backend's Set-Cookie; without these keys they pass unchanged."),
});

export type CookieRewrite = z.output<typeof cookies>;

/** The `rewrite` of a route after validation. */
export type RewriteConfig = z.output<typeof rewriteSchema>;
