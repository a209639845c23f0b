import * as z from "zod";
import { appName } from "./apps-schema.ts";
import { jwtSchema } from "./jwt-schema.ts";
import { orOff } from "./scalars.ts";
import { ticketSchema } from "./ticket-schema.ts";

/** The `auth` of a route: the credentials that it accepts. A request needs one of them. */

const apps = z.array(appName).min(1, "expected at least one app");

const appObject = z.strictObject({
  apps: apps.describe("Names from apps.yaml, of the apps whose signatures are accepted."),
  replay: z
    .enum(["allow", "reject"])
    .prefault("allow")
    .describe(
      "Whether a signature may be used twice. reject needs clients that sign every request anew, reconnects too.",
    ),
});

/** Expands the short form, so that one schema validates and describes both. */
const app = z
  .union([apps, appObject], "expected a list of apps such as [web-client], or an object with apps")
  .transform((value) => (Array.isArray(value) ? appObject.parse({ apps: value }) : value))
  .describe("APP signatures (SDK-HMAC-SHA256): a list of apps, short for { apps }, or the object.");

/** The keys that name a credential; the other keys only say how to handle one. */
const CREDENTIALS = ["app", "appCode", "jwt"] as const;

export const authSchema = z
  .strictObject({
    app: app.optional(),
    appCode: z
      .boolean()
      .prefault(false)
      .describe(
        "Accept X-Apig-AppCode: a fixed text from apps.yaml, of the apps in auth.app or, without it, of any app.",
      ),
    jwt: jwtSchema.optional().describe("Accept JSON Web Tokens."),
    ticket: orOff(ticketSchema).describe(
      "Issue a ticket for POST PATH?ticket, with which GET PATH?ticket=TICKET is accepted once: for native EventSource and WebSocket, which cannot send header fields.",
    ),
    forward: z
      .boolean()
      .prefault(false)
      .describe("Forward the fields of the credential, such as Authorization, to the backend."),
  })
  .superRefine((auth, ctx) => {
    // Without a credential to check, a route that looks protected would be open.
    if (CREDENTIALS.every((key) => auth[key] === undefined || auth[key] === false)) {
      ctx.addIssue(`expected at least one of ${CREDENTIALS.join(", ")}`);
    }
  });

/** A route's `auth` after validation. */
export type AuthConfig = z.output<typeof authSchema>;
/** The APP signatures of a route's `auth` after validation. */
export type AppAuthConfig = z.output<typeof appObject>;
