import { type Origins, originFields } from "./origins.ts";
import type { Block, Entry } from "./text.ts";

/** nginx's own answers while sluice is away, in the words of sluice's. */
const AWAY = [
  { status: 502, text: "Backend unavailable." },
  { status: 504, text: "Backend timeout." },
] as const;

const nameOf = (status: number): string => `@sluice_${status}`;

/** Where nginx's own errors are answered. sluice's pass as they are: proxy_intercept_errors is off. */
export function errorPages(): Entry[] {
  return AWAY.map(({ status }, at) => {
    const why =
      "While sluice is away nginx answers by itself: with JSON as sluice does, so that pages can read why. sluice's own errors pass as they are.";
    return { text: `error_page ${status} ${nameOf(status)}`, why: at === 0 ? why : undefined };
  });
}

/** The locations of those answers. */
export function awayLocations(origins: Origins): Block[] {
  return AWAY.map(({ status, text }) => ({
    opening: `location ${nameOf(status)}`,
    body: [
      { text: "internal" },
      { text: "default_type application/json" },
      ...originFields(origins),
      { text: "add_header Cache-Control no-store always" },
      { text: "add_header Retry-After 5 always" },
      {
        text: `return ${status} '{"error_code":"APIG.0201","error_msg":"${text}","request_id":"$request_id"}'`,
      },
    ],
  }));
}
