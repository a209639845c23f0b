import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";

const FILES: ReadonlyMap<string, { readonly name: string; readonly type: string }> = new Map([
  ["/", { name: "index.html", type: "text/html; charset=utf-8" }],
  ["/page/style.css", { name: "style.css", type: "text/css; charset=utf-8" }],
  ...["main", "stream", "chart", "chat", "burst", "completion", "event-blocks"].map(
    (name) => [`/page/${name}.js`, { name: `${name}.js`, type: "text/javascript; charset=utf-8" }] as const,
  ),
]);

/** Every path of the page. */
export const PAGE_PATHS: readonly string[] = [...FILES.keys()];

/**
 * Answers with a file of the page.
 *
 * `gatewayPort` is where the page finds the event streams, on the host it was opened with;
 * without it they are at the page's own address.
 */
export function servePage(req: IncomingMessage, res: ServerResponse, gatewayPort?: number): void {
  const file = FILES.get(pathOf(req));
  if (file === undefined || (req.method !== "GET" && req.method !== "HEAD")) {
    res.writeHead(404).end();
    return;
  }
  const text = readFileSync(new URL(`page/${file.name}`, import.meta.url), "utf8");
  res.writeHead(200, {
    "Content-Type": file.type,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy":
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src http: https:",
  });
  res.end(text.replace("{{gatewayPort}}", String(gatewayPort ?? "")));
}

/** The path of a request, without its query. */
export function pathOf(req: IncomingMessage): string {
  return (req.url ?? "/").replace(/\?.*$/s, "");
}
