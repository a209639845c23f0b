import { METHODS } from "node:http";
import * as z from "zod";
import { pathFault } from "../http/routing-path.ts";
import { suggestion } from "./nearest.ts";
import { editableField, pathCharacters } from "./scalars.ts";

/** The `match` of a route: the requests that it serves. */

const EXPECTED_PATH = "expected a path such as /stream, or /chat/* for everything below it";

/**
 * The methods of Node's parser except those that are refused before routing; a route for another method would never
 * match.
 */
const ROUTED_METHODS = METHODS.filter((method) => method !== "TRACE" && method !== "CONNECT");

const routedMethod = z
  .string("expected a method such as GET")
  .meta({ pattern: "^[A-Z-]+$" })
  .superRefine((method, ctx) => {
    if (ROUTED_METHODS.includes(method)) return;
    const upper = method.toUpperCase();
    const hint = ROUTED_METHODS.includes(upper)
      ? `expected ${upper}; methods are compared with case`
      : `expected a method that can be routed, such as GET${suggestion(upper, ROUTED_METHODS)}`;
    ctx.addIssue(hint);
  });

const EXPECTED_HOST = "expected a host name without a port, such as app.example.com or *.example.com";

/** A bound, because each host has its own table of routes. */
const MAX_HOSTS = 1000;

/** A host name, `*.` and a host name, or an IP address; in lower case and without a final dot after parsing. */
const hostName = z
  .string(EXPECTED_HOST)
  .regex(/^(?:(?:\*\.)?[A-Za-z0-9_-][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])$/, EXPECTED_HOST)
  // A fully qualified name may end with a dot, which nginx removes too.
  .transform((name) => name.toLowerCase().replace(/\.$/, ""));

const hosts = z
  .union(
    [hostName, z.array(hostName).min(1, "expected at least one host").max(MAX_HOSTS)],
    `${EXPECTED_HOST}, or a list of them`,
  )
  .transform((value) => (typeof value === "string" ? [value] : value))
  .superRefine((names, ctx) => {
    for (const [at, name] of names.entries()) {
      const first = names.indexOf(name);
      if (first < at)
        ctx.addIssue({ code: "custom", path: [at], message: `the same host as host[${first}]` });
    }
  });

const EXPECTED_VALUE = 'expected a text, quoted if it looks like another type: "1.10", "true"';
const MAX_CONDITIONS = 8;

/** An integer is accepted as a text: `X-Api-Version: 2`. */
const conditionValue = (pattern: RegExp, expected: string) =>
  z
    .union([z.string().max(256).regex(pattern, expected), z.int().nonnegative()], EXPECTED_VALUE)
    .transform(String);

const atMost = (conditions: object) => Object.keys(conditions).length <= MAX_CONDITIONS;
const TOO_MANY = `expected at most ${MAX_CONDITIONS} of them`;

/** Fields that the gateway reads or sets itself. A route must not depend on a credential that no step has checked. */
const conditionField = editableField.regex(
  /^(?!(?:accept-encoding|authorization|cookie|forwarded|host|last-event-id|proxy-authorization|x-forwarded-.*|x-real-ip|x-request-id|x-stage)$)/i,
  "expected a field of the application, such as X-Api-Version: this one is read by host, auth or stages, or set by sluice",
);

const header = z
  .record(
    conditionField,
    conditionValue(
      /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
      "expected visible characters, without spaces around them",
    ),
  )
  .refine(atMost, TOO_MANY)
  .superRefine((fields, ctx) => {
    const names = Object.keys(fields);
    const lower = names.map((name) => name.toLowerCase());
    for (const [at, name] of names.entries()) {
      if (lower.indexOf(name.toLowerCase()) < at)
        ctx.addIssue({ code: "custom", path: [name], message: "expected each field once; case is ignored" });
    }
  });

/** Without the characters that separate parameters, and without those that two backends may decode in two ways. */
const query = z
  .record(
    z.string().regex(/^[A-Za-z0-9._~$-]{1,128}$/, "expected the name of a parameter, such as version"),
    conditionValue(/^[^\s\0-\x20\x7f-\uffff&;+%#]+$/, "expected visible ASCII characters except & ; + % #"),
  )
  .refine(atMost, TOO_MANY);

export const matchSchema = z.strictObject({
  path: z
    .string(EXPECTED_PATH)
    .regex(new RegExp(`^/(?:${pathCharacters}|(?:${pathCharacters}/)?\\*)$`), EXPECTED_PATH)
    .superRefine((path, ctx) => {
      const fault = pathFault(path);
      if (fault !== undefined) ctx.addIssue(`expected a path without ${fault}: such requests are refused`);
    })
    .describe("An exact path, or a prefix of whole segments: /chat/* is /chat and everything below it."),
  host: hosts
    .optional()
    .describe(
      "Match only requests for these hosts: a name, *.example.com for all names below it, or a list. Case and port are ignored.",
    ),
  methods: z
    .array(routedMethod)
    .min(1, "expected at least one method")
    .optional()
    .describe("Match only these methods; GET includes HEAD. Without it, any method."),
  header: header
    .optional()
    .describe(
      "Match only requests with these fields and values, for versions of an API. It protects nothing: a client sends what it likes.",
    ),
  query: query.optional().describe("Match only requests with these query parameters and values."),
});

export type RouteMatch = z.output<typeof matchSchema>;
