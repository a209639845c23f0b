import * as z from "zod";
import { duration, token } from "./scalars.ts";

/** The `cors` of a route, as an object. */

const EXPECTED_ORIGIN =
  "expected *, null, an origin such as https://app.example.com, or https://*.example.com";

const PLAIN_ORIGIN = /^https?:\/\/(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(?::\d+)?$/;

const allowedOrigin = z
  .string(EXPECTED_ORIGIN)
  .meta({ pattern: "^(\\*|null|https?://(\\*\\.)?[^/?#@*A-Z]+)$" })
  .superRefine((text, ctx) => {
    if (text === "*" || text === "null") return;
    const plain = text.replace(/^(https?:\/\/)\*\./, "$1wildcard.");
    // As browsers write an origin: without a path or a default port, and with the host in lower case.
    const isOrigin = URL.canParse(plain) && new URL(plain).origin === plain;
    // The URL parser accepts * as a letter, and `https://*.` would match every name that ends with a dot.
    if (!isOrigin || !PLAIN_ORIGIN.test(plain)) ctx.addIssue(EXPECTED_ORIGIN);
  });

const tokens = z.array(token);

export const corsSchema = z
  .strictObject({
    allowOrigins: z
      .array(allowedOrigin)
      .min(1, "expected at least one origin")
      .describe("Exact origins, https://*.example.com for any subdomain, or *."),
    allowMethods: tokens
      .prefault(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
      .describe("Methods a page may use."),
    allowHeaders: tokens
      .optional()
      .describe(
        "Fields a page may send; Last-Event-ID and Cache-Control are always allowed. Without it, all that a preflight asks for.",
      ),
    exposeHeaders: tokens
      .optional()
      .describe(
        "Fields a page may read. Without it X-Request-Id, Mcp-Session-Id, Retry-After and those of limits.tokens; without allowCredentials all (*).",
      ),
    allowCredentials: z.boolean().prefault(false).describe("Let the browser send cookies; not with *."),
    maxAge: duration.prefault("10m").describe("How long a browser may remember a preflight."),
    allowPrivateNetwork: z
      .boolean()
      .prefault(false)
      .describe("Answer Access-Control-Request-Private-Network."),
  })
  .superRefine((cors, ctx) => {
    if (!cors.allowCredentials) return;
    for (const key of ["allowOrigins", "allowHeaders", "allowMethods", "exposeHeaders"] as const) {
      if (cors[key]?.includes("*"))
        ctx.addIssue({
          code: "custom",
          path: [key],
          message: "expected no * together with allowCredentials",
        });
    }
    if (cors.allowOrigins.includes("null")) {
      ctx.addIssue({
        code: "custom",
        path: ["allowOrigins"],
        message: "expected no null together with allowCredentials",
      });
    }
  });
