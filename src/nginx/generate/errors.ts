import { type Origins, originFields } from "./origins.ts";
import type { Block, Entry } from "./text.ts";

/** nginx's own errors while sluice does not respond, with sluice's texts. */
const AWAY = [
  { status: 502, text: "Backend unavailable." },
  { status: 504, text: "Backend timeout." },
] as const;

const nameOf = (status: number): string => `@sluice_${status}`;

/** Returns the error_page lines for nginx's own errors; sluice's stay as they are: proxy_intercept_errors is off. */
export function errorPages(): Entry[] {
  return AWAY.map(({ status }, at) => {
    const why =
      "While sluice does not respond, nginx itself answers with sluice's JSON, so that pages can read the reason. sluice's own errors stay as they are.";
    return { text: `error_page ${status} ${nameOf(status)}`, why: at === 0 ? why : undefined };
  });
}

/** Returns the locations that send these errors. */
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
        text: `return ${status} '{"error_code":"APIG.0201","error_msg":"${text}","request_id":"$request_id","error":{"message":"${text}","type":"server_error","code":"APIG.0201"}}'`,
      },
    ],
  }));
}
