import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, normalize } from "node:path";
import { afterTest } from "./after-test.ts";

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};

const PAGE_PATH = "/page";
const page = new URL("./client-page.html", import.meta.url);
const libraries = new URL("../../node_modules/", import.meta.url);

/** Returns the file of a path: the page itself, or a library's published file below `/lib/`. */
function fileOf(path: string): URL | undefined {
  if (path === PAGE_PATH) return page;
  const name = /^\/lib\/(.+)$/.exec(path)?.[1];
  if (name === undefined || normalize(name).startsWith("..")) return undefined;
  // Published ES modules import each other without a file extension, which bundlers resolve and browsers do not.
  return new URL(extname(name) === "" ? `${name}.js` : name, libraries);
}

/**
 * Serves the page with the browser clients, and their libraries unmodified from node_modules. `origin` is its origin,
 * `path` the page's path.
 */
export async function startPageServer(): Promise<{ readonly origin: string; readonly path: string }> {
  const server = createServer(async (request, response) => {
    const file = fileOf(new URL(request.url ?? "/", "http://page").pathname);
    const body = file === undefined ? undefined : await readFile(file).catch(() => undefined);
    if (file === undefined || body === undefined) {
      response.writeHead(404).end();
      return;
    }
    const type = MEDIA_TYPES[extname(file.pathname)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": body.length }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, path: PAGE_PATH };
}
