import * as z from "zod";
import { secret } from "./secret.ts";

/** apps.yaml: the apps that may sign requests, by name. */

/** The name of an app: in the `auth` of routes, in logs, and in X-App-Id. */
export const appName = z
  .string("expected the name of an app")
  .regex(/^[A-Za-z0-9_-]{1,64}$/, "expected a name of at most 64 letters, digits, - and _");

const NOT_EMPTY = "expected a secret that is not empty";

/** An AppKey: in Authorization it is between `Access=` and a comma. */
export const appKey = z
  .string("expected an AppKey, the public part of the pair")
  .regex(/^[\x21-\x2b\x2d-\x7e]{1,128}$/, "expected 1 to 128 visible characters without comma and space");

const app = z.strictObject({
  key: appKey.describe("The AppKey: public, sent with each request."),
  secret: z
    .union(
      [secret, z.array(secret).min(1, NOT_EMPTY).max(2, "expected at most two secrets, the new and the old")],
      "expected a secret, or a list of the new and the old one",
    )
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .describe("The AppSecret, or file:/path. During a change two: [new, old]."),
  appCodes: z
    .array(
      z
        .string("expected an AppCode")
        .regex(/^[\x21-\x7e]{64,180}$/, "expected 64 to 180 visible characters without space"),
    )
    .max(5, "expected at most 5 AppCodes")
    .prefault([])
    .describe("AppCodes, for clients that cannot sign."),
});

export const appsSchema = z.record(appName, app).superRefine((apps, ctx) => {
  const owners = new Map<string, string>();
  for (const [name, { key }] of Object.entries(apps)) {
    const owner = owners.get(key);
    if (owner !== undefined) {
      ctx.addIssue({ code: "custom", path: [name, "key"], message: `the same key as ${owner}` });
    }
    owners.set(key, name);
  }
});

/** apps.yaml after validation, secrets read. */
export type AppsFile = z.output<typeof appsSchema>;

/** An app: its name, and its entry in apps.yaml. */
export interface AppConfig extends z.output<typeof app> {
  readonly name: string;
}
