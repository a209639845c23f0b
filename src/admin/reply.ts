import type { ServerResponse } from "node:http";

/** Our pages load what is ours and talk to us; nobody shows them in a frame or reads what we say. */
const SECURITY_FIELDS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  // Without any, a browser would name no origin with our own form either.
  "Referrer-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

type Fields = Readonly<Record<string, string>>;

/** Answers with a text of that media type. */
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

/** Answers with JSON. */
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
    // The dashboard behind an nginx, too.
    "X-Accel-Buffering": "no",
  });
}
