import * as z from "zod";
import { mockSchema } from "./mock-schema.ts";
import { rewriteSchema } from "./rewrite-schema.ts";
import { upstream } from "./upstream-schema.ts";
import { variablesSchema } from "./variables.ts";

/** The environment of the route itself, which requests without X-Stage use. */
export const DEFAULT_ENVIRONMENT = "RELEASE";

const environmentName = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_]{2,63}$/,
    "expected an environment name of 3 to 64 letters, digits and _ that starts with a letter",
  )
  .refine(
    (name) => name !== DEFAULT_ENVIRONMENT,
    `expected no ${DEFAULT_ENVIRONMENT} here: it is the route itself`,
  );

const environment = z.strictObject({
  upstream: upstream.optional(),
  mock: mockSchema.optional().describe("Respond without a backend."),
  rewrite: rewriteSchema
    .prefault({})
    .describe("The path that the backend gets, and the URLs in its responses."),
  variables: variablesSchema,
});

/** The rule that a route has an upstream or a mock, but not both: with both, the destination would be ambiguous. */
export const ONE_DESTINATION = {
  error: ({ input }: { readonly input?: unknown }) =>
    hasDestination(input) ? "expected either upstream or mock, and not both" : "expected upstream or mock",
  when: ({ value }: { readonly value: unknown }) =>
    typeof value === "object" && value !== null && !Array.isArray(value),
};

function hasDestination(route: unknown): boolean {
  return typeof route === "object" && route !== null && ("upstream" in route || "mock" in route);
}

export function hasOneDestination(route: { upstream?: unknown; mock?: unknown }): boolean {
  return (route.upstream === undefined) !== (route.mock === undefined);
}

/** The `stages` of a route: its environments beside the route itself. */
export const stagesSchema = z
  .record(environmentName, environment.refine(hasOneDestination, ONE_DESTINATION))
  .prefault({});
