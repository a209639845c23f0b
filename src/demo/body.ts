import type { IncomingMessage, ServerResponse } from "node:http";

const MAX_BODY_BYTES = 64 * 1024;

/** Reads a JSON object; without a valid one, responds with 413 or 400 itself and returns undefined. */
export async function readJson(
  req: IncomingMessage,
  res: ServerResponse,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of req as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BODY_BYTES) {
      // The rest of the body is not read, so the connection cannot be reused.
      sendJson(res.setHeader("Connection", "close"), 413, { error: "body too large" });
      return undefined;
    }
    parts.push(part);
  }
  const value = parse(Buffer.concat(parts).toString("utf8"));
  if (value === undefined) sendJson(res, 400, { error: "expected a JSON object" });
  return value;
}

/** Responds with JSON. */
export function sendJson(res: ServerResponse, status: number, value: unknown): void {
  res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
