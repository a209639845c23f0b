import * as z from "zod";
import { duration, editableField, token } from "./scalars.ts";
import { secret } from "./secret.ts";

/** The `upstream.sticky` of a route: a client or a session stays at the backend that served it first. */

const EXPECTED_COOKIE = "expected the name of a cookie, or an object with name";
const EXPECTED_FIELD =
  "expected the name of a response field such as Mcp-Session-Id, or an object with field";

const cookieName = token.max(128);

const cookieObject = z.strictObject({
  name: cookieName.describe(
    "The name of the cookie. Routes with the same backends may use the same name; a client then has the same backend on all of them.",
  ),
  sameSite: z
    .enum(["lax", "strict", "none"])
    .prefault("lax")
    .describe("The cookie's SameSite; none, for pages of other sites, works only over TLS."),
  maxAge: duration
    .optional()
    .describe(
      "How long the browser keeps the cookie, from the response that sets it; without it, until the browser is closed.",
    ),
  secret: secret
    .optional()
    .describe(
      "A key for the cookie's value, or file:/path; the same for all instances. Without it, the value is a plain hash of the backend's address: a client that guesses the address can tell that it is right.",
    ),
});

const learnedField = editableField
  .max(128)
  .regex(
    /^(?!set-cookie$)/i,
    "expected a field that later requests send back; for a cookie use sticky.cookie",
  );

const learnObject = z.strictObject({
  field: learnedField.describe(
    "The field: a response names a session in it, and later requests of the session bring it back.",
  ),
  maxKeys: z
    .int()
    .min(1)
    .max(1_000_000)
    .prefault(100_000)
    .describe(
      "The maximum number of sessions that are remembered; beyond, the longest unused one is forgotten.",
    ),
  expires: duration.prefault("1d").describe("How long an unused session is remembered."),
});

export const stickySchema = z
  .strictObject({
    cookie: z
      .union([cookieName, cookieObject], EXPECTED_COOKIE)
      .transform((value) => (typeof value === "string" ? cookieObject.parse({ name: value }) : value))
      .optional()
      .describe("Name a cookie (short for { name }): sluice sets it, and its value names the backend."),
    learn: z
      .union([learnedField, learnObject], EXPECTED_FIELD)
      .transform((value) => (typeof value === "string" ? learnObject.parse({ field: value }) : value))
      .optional()
      .describe("Name a response field (short for { field }) with which the backend names a session."),
  })
  .superRefine(({ cookie, learn }, ctx) => {
    if (cookie === undefined && learn === undefined)
      ctx.addIssue({ code: "custom", path: [], message: "expected cookie: NAME or learn: FIELD" });
    if (cookie !== undefined && learn !== undefined) {
      const message = "expected either cookie or learn, and not both: they could name two backends";
      ctx.addIssue({ code: "custom", path: ["learn"], message });
    }
  });

export type StickyConfig = z.output<typeof stickySchema>;
export type StickyCookieConfig = NonNullable<StickyConfig["cookie"]>;
export type LearnConfig = NonNullable<StickyConfig["learn"]>;
