import * as z from "zod";
import { suggestion } from "./nearest.ts";
import { token } from "./scalars.ts";

/** The `upstream.balance` of a route: how a backend is chosen. */

const METHODS = ["leastConnections", "roundRobin", "hash", "randomTwo"] as const;

const EXPECTED_PART = "expected ip, header:NAME, cookie:NAME or query:NAME";

/** The characters of a parameter's name as it is written in a query, without those that need an escape there. */
const PARAMETER = /^[!"$'-*,-<>-~]{1,128}$/;

/** The part of a request that `hash` hashes: `ip`, or its kind with a name. */
const hashedPart = z
  .string(EXPECTED_PART)
  .meta({ pattern: "^(ip|(header|cookie|query):[!-~]+)$" })
  .superRefine((part, ctx) => {
    if (part === "ip") return;
    const [, kind = "", name = ""] = /^([a-z]+)(?::(.*))?$/s.exec(part) ?? [];
    if (kind !== "header" && kind !== "cookie" && kind !== "query") ctx.addIssue(EXPECTED_PART);
    else if (name === "") ctx.addIssue(`expected ${kind}:NAME, such as ${EXAMPLES[kind]}`);
    else if (kind === "query" ? !PARAMETER.test(name) : !token.max(128).safeParse(name).success)
      ctx.addIssue(`expected ${kind}:NAME with a name such as ${EXAMPLES[kind]} has`);
  });

const EXAMPLES = { header: "header:X-User-Id", cookie: "cookie:session", query: "query:room" } as const;

const balanceObject = z
  .strictObject({
    method: z.enum(METHODS).describe("The method: the same names as in the short form."),
    by: hashedPart
      .optional()
      .describe(
        "What hash hashes: ip (the client's address, the default), header:NAME, cookie:NAME or query:NAME. A request without it goes to the backend with the fewest open requests.",
      ),
  })
  .superRefine(({ method, by }, ctx) => {
    if (by === undefined || method === "hash") return;
    const message = `expected no by with method: ${method}; only hash uses it`;
    ctx.addIssue({ code: "custom", path: ["by"], message });
  });

export const balanceSchema = z
  .union([z.enum(METHODS), balanceObject], {
    error: ({ input }) => {
      const hint = typeof input === "string" ? suggestion(input, METHODS) : "";
      return `expected ${METHODS.join(", ")}, or an object with method${hint}`;
    },
  })
  .transform((value): BalanceConfig => {
    const { method, by = "ip" } = typeof value === "string" ? { method: value } : value;
    return method === "hash" ? { method, by } : { method };
  })
  .prefault("leastConnections");

export type BalanceConfig =
  | { readonly method: "hash"; readonly by: string }
  | { readonly method: Exclude<(typeof METHODS)[number], "hash"> };
