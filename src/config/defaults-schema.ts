import * as z from "zod";
import { routeObject } from "./route-schema.ts";
import { upstreamDefaults } from "./upstream-schema.ts";
import { withStandIns } from "./variables.ts";

/** The keys that each route has for itself. */
export const OWN_KEYS = ["match", "mock", "stages"] as const;

const keys = routeObject
  .omit({ match: true, mock: true, stages: true })
  .extend({ upstream: upstreamDefaults.optional() });

/**
 * The `defaults` of sluice.yaml. Each value must be valid by itself. The rules between keys are checked for each route,
 * after its own keys were added, and so are the variables, which a route may set itself.
 */
export const defaultsSchema = z.preprocess(withStandIns, keys);
