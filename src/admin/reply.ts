import type { ServerResponse } from "node:http";

/** Our pages load our own files only and call our own API; no other page may frame them or read the responses. */
const SECURITY_FIELDS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  // Not `no-referrer`: a browser would then send `Origin: null` with our own form.
  "Referrer-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

type Fields = Readonly<Record<string, string>>;

/** Responds with a body of a media type. */
export function reply(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  type: string,
  fields: Fields = {},
): void {
  const length = String(Buffer.byteLength(body));
  response.writeHead(status, {
    ...SECURITY_FIELDS,
    "Content-Type": type,
    "Content-Length": length,
    ...fields,
  });
  response.end(body);
}

/** Responds with JSON. */
export function replyJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  fields: Fields = {},
): void {
  reply(response, status, `${JSON.stringify(value)}\n`, "application/json", fields);
}

/** Begins an event stream. */
export function beginEvents(response: ServerResponse): void {
  response.writeHead(200, {
    ...SECURITY_FIELDS,
    "Content-Type": "text/event-stream",
    // For a dashboard behind nginx.
    "X-Accel-Buffering": "no",
  });
}
