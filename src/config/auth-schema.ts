import * as z from "zod";
import { appName } from "./apps-schema.ts";
import { jwtSchema } from "./jwt-schema.ts";
import { ticketSchema } from "./ticket-schema.ts";

/** The `auth` of a route: which credentials open it. Any one of them suffices. */

const apps = z.array(appName).min(1, "expected at least one app");

const appObject = z.strictObject({
  apps: apps.describe("Names from apps.yaml; their signatures are taken."),
  replay: z
    .enum(["allow", "reject"])
    .prefault("allow")
    .describe(
      "Whether a signature may come twice. reject needs clients that sign each request anew, reconnects too.",
    ),
});

/** Opens the short form, so that one schema validates and describes both. */
const app = z
  .union([apps, appObject], "expected a list of apps such as [web-client], or an object with apps")
  .transform((value) => (Array.isArray(value) ? appObject.parse({ apps: value }) : value))
  .describe("APP signatures (SDK-HMAC-SHA256): a list of apps, short for { apps }, or the object.");

/** The keys that name a credential; the others only say how one is handled. */
const CREDENTIALS = ["app", "appCode", "jwt"] as const;

export const authSchema = z
  .strictObject({
    app: app.optional(),
    appCode: z
      .boolean()
      .prefault(false)
      .describe("Take X-Apig-AppCode: a fixed text of apps.yaml, of the apps in auth.app or else of any."),
    jwt: jwtSchema.optional().describe("Take JSON Web Tokens."),
    ticket: ticketSchema
      .optional()
      .describe(
        "Let POST PATH?ticket give out a ticket, with which GET PATH?ticket=TICKET is open once: for native EventSource and WebSocket, which can send no fields.",
      ),
    forward: z
      .boolean()
      .prefault(false)
      .describe("Let the credential's own fields, such as Authorization, through to the backend."),
  })
  .superRefine((auth, ctx) => {
    // Nothing to present would mean nothing to check, on a route that says it is protected.
    if (CREDENTIALS.every((key) => auth[key] === undefined || auth[key] === false)) {
      ctx.addIssue(`expected at least one of ${CREDENTIALS.join(", ")}`);
    }
  });

/** A route's `auth` after validation. */
export type AuthConfig = z.output<typeof authSchema>;
/** Its APP signatures. */
export type AppAuthConfig = z.output<typeof appObject>;
