import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "vite";
import { openPage } from "../browser.mjs";

const PATIENCE = { timeout: 1_000 };
const TRIES = 6;
const root = mkdtempSync(join(tmpdir(), "sluice-field-vite-"));
process.once("exit", () => rmSync(root, { recursive: true, force: true }));
let version = 1;

function writeText() {
  version += 1;
  const accept = "import.meta.hot.accept();";
  writeFileSync(join(root, "main.js"), `document.body.textContent = "version ${version}"; ${accept}`);
  return `document.body.textContent === "version ${version}"`;
}

export const label = "the development server of Vite with its updates (WebSocket)";
export const needs = "websocket";
export const checks = {
  /** The page shows a changed module without being loaded again. */
  async update(url, begin) {
    writeText();
    const page = await openPage(url, begin("tokens"));
    try {
      await page.waitForFunction("document.body.textContent.startsWith('version')", { timeout: 10_000 });
      await page.evaluate("window.isFirst = true");
      if (!(await isUpdated(page))) throw new Error("no update comes");
      return "yes";
    } finally {
      await page.close();
    }
  },
};

/** Changes the module until the page shows it: Vite tells only the pages that are connected already. */
async function isUpdated(page) {
  for (let count = 0; count < TRIES; count += 1) {
    const isShown = page.waitForFunction(`${writeText()} && window.isFirst === true`, PATIENCE);
    if (await isShown.catch(() => undefined)) return true;
  }
  return false;
}

export async function backend() {
  writeFileSync(
    join(root, "index.html"),
    `<!doctype html><body><script type="module" src="/main.js"></script>`,
  );
  const server = createHttpServer();
  const vite = await createServer({
    root,
    configFile: false,
    logLevel: "silent",
    server: { middlewareMode: true, ws: { server }, hmr: { server } },
  });
  server.on("request", vite.middlewares);
  return server;
}
