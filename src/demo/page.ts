import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { browserLibrary } from "../base/browser-libraries.ts";
import type { AppConfig } from "../config/apps-schema.ts";

interface PageFile {
  readonly url: URL;
  readonly type: string;
}

const ARTICLE_PATH = "/page/article.html";
const HTML = "text/html; charset=utf-8";
const STYLE = "text/css; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";
const SCRIPTS = [
  ...["main", "stream", "held", "chart", "chat", "burst", "completion", "event-blocks"],
  ...["answer", "named-request"],
  ...["article", "crypto-js", "gateway"],
  ...["compare", "lane", "techniques", "timeline", "comparison"],
];

const FILES: ReadonlyMap<string, PageFile> = new Map([
  ["/", own("index.html", HTML)],
  [ARTICLE_PATH, own("article.html", HTML)],
  ["/page/compare.html", own("compare.html", HTML)],
  ["/page/compare.css", own("compare.css", STYLE)],
  ["/page/style.css", own("style.css", STYLE)],
  ...SCRIPTS.map((name) => [`/page/${name}.js`, own(`${name}.js`, SCRIPT)] as const),
  // Unchanged, as in their packages: the article's page is about software that people already use.
  ["/page/lib/signer.js", { url: browserLibrary("signer.js"), type: SCRIPT }],
  ["/page/lib/eventsource.js", { url: browserLibrary("eventsource.js"), type: SCRIPT }],
]);

/** The paths of all files of the page. */
export const PAGE_PATHS: readonly string[] = [...FILES.keys()];

/** The settings of the page. */
export interface PageSetup {
  /** The gateway's port, on the host of the page's URL; without it, the gateway serves the page itself. */
  readonly gatewayPort?: number | undefined;
  /** The port of an nginx without sluice; without it the page says how to install one. */
  readonly nginxPort?: number | undefined;
  /** The app that signs on the article's page; without it that page does not exist. */
  readonly app?: AppConfig | undefined;
}

/** Responds with a file of the page. */
export function servePage(
  req: IncomingMessage,
  res: ServerResponse,
  { gatewayPort, nginxPort, app }: PageSetup = {},
): void {
  const path = pathOf(req);
  const file = path === ARTICLE_PATH && app === undefined ? undefined : FILES.get(path);
  if (file === undefined || (req.method !== "GET" && req.method !== "HEAD")) {
    res.writeHead(404).end();
    return;
  }
  const text = readFileSync(file.url, "utf8");
  res.writeHead(200, {
    "Content-Type": file.type,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy":
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src http: https:",
  });
  if (file.type !== HTML) {
    res.end(text);
    return;
  }
  const values: Readonly<Record<string, string>> = {
    gatewayPort: String(gatewayPort ?? ""),
    nginxPort: String(nginxPort ?? ""),
    article: app === undefined ? "hidden" : "",
    key: app?.key ?? "",
    secret: app?.secret[0] ?? "",
  };
  res.end(text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? ""));
}

/** Returns the path of a request, without its query. */
export function pathOf(req: IncomingMessage): string {
  return (req.url ?? "/").replace(/\?.*$/s, "");
}

function own(name: string, type: string): PageFile {
  return { url: new URL(`page/${name}`, import.meta.url), type };
}
