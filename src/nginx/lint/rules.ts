import type { Rule } from "./rule.ts";
import { BUFFER_SIZE_RULES } from "./rules/buffer-sizes.ts";
import { BUFFERING_RULES, GENERAL_BUFFERING_RULES } from "./rules/buffering.ts";
import { CACHING_RULES } from "./rules/caching.ts";
import { CLIENT_ADDRESS_RULES } from "./rules/client-address.ts";
import { COMPRESSION_RULES, FILTER_RULES } from "./rules/compression.ts";
import { CORS_RULES } from "./rules/cors.ts";
import { ERROR_RULES } from "./rules/errors.ts";
import { FIELD_RULES } from "./rules/fields.ts";
import { PATH_RULES } from "./rules/paths.ts";
import { PREFLIGHT_RULES } from "./rules/preflight.ts";
import { RATE_RULES } from "./rules/rates.ts";
import { REQUEST_BODY_RULES } from "./rules/request-body.ts";
import { REQUEST_FIELD_RULES } from "./rules/request-fields.ts";
import { ROUTING_RULES } from "./rules/routing.ts";
import { SECOND_HOP_RULES } from "./rules/second-hop.ts";
import { STRUCTURE_RULES } from "./rules/structure.ts";
import { TIMER_RULES } from "./rules/timers.ts";
import { GENERAL_UPSTREAM_RULES, UPSTREAM_RULES } from "./rules/upstreams.ts";
import { WEBSOCKET_RULES } from "./rules/websockets.ts";

export { STRUCTURE_RULES } from "./rules/structure.ts";

/** All rules. A specific rule comes before a general one that would report the same at a location. */
export const RULES: readonly Rule[] = [
  ...STRUCTURE_RULES,
  ...BUFFER_SIZE_RULES,
  ...SECOND_HOP_RULES,
  ...BUFFERING_RULES,
  ...COMPRESSION_RULES,
  ...FILTER_RULES,
  ...RATE_RULES,
  ...REQUEST_BODY_RULES,
  ...TIMER_RULES,
  ...UPSTREAM_RULES,
  ...ERROR_RULES,
  ...CACHING_RULES,
  ...PREFLIGHT_RULES,
  ...CORS_RULES,
  ...FIELD_RULES,
  ...REQUEST_FIELD_RULES,
  ...CLIENT_ADDRESS_RULES,
  ...WEBSOCKET_RULES,
  ...PATH_RULES,
  ...ROUTING_RULES,
  ...GENERAL_UPSTREAM_RULES,
  ...GENERAL_BUFFERING_RULES,
];
