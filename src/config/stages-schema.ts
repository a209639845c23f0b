import * as z from "zod";
import { mockSchema } from "./mock-schema.ts";
import { rewriteSchema } from "./rewrite-schema.ts";
import { upstream } from "./upstream-schema.ts";
import { variablesSchema } from "./variables.ts";

/** The stage that a route is by itself, and that a request without X-Stage asks for. */
export const DEFAULT_ENVIRONMENT = "RELEASE";

const stageName = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_]{2,63}$/,
    "expected a stage name of 3 to 64 letters, digits and _, a letter first",
  )
  .refine(
    (name) => name !== DEFAULT_ENVIRONMENT,
    `expected no ${DEFAULT_ENVIRONMENT} here: it is the route itself`,
  );

const stage = z.strictObject({
  upstream: upstream.optional(),
  mock: mockSchema.optional().describe("An answer without a backend."),
  rewrite: rewriteSchema.prefault({}).describe("The path that the backend sees."),
  variables: variablesSchema,
});

/** Two destinations would leave it open which one a request goes to, and none leaves it nowhere to go. */
export const ONE_DESTINATION = {
  message: "expected either upstream or mock, and not both",
  when: ({ value }: { readonly value: unknown }) =>
    typeof value === "object" && value !== null && !Array.isArray(value),
};

export function hasOneDestination(route: { upstream?: unknown; mock?: unknown }): boolean {
  return (route.upstream === undefined) !== (route.mock === undefined);
}

/** The other stages of a route. */
export const stagesSchema = z
  .record(stageName, stage.refine(hasOneDestination, ONE_DESTINATION))
  .prefault({});
