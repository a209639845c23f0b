import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { launchChromium } from "../support/chromium.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { startNginx } from "../support/nginx.ts";

/** Status line and fields of the response to each path. */
const RESPONSES: Readonly<Record<string, string>> = {
  "/controls": "HTTP/1.1 200 OK\r\nX-A: a\vb\fc\x01d\x7f\r\nX-B: \v\r\n",
  "/obs-text": "HTTP/1.1 200 \xe9\r\nX-A: \xe9\r\n",
  "/699": "HTTP/1.1 699 WAY OUT THERE\r\n",
  "/no-reason": "HTTP/1.1 200\r\n",
  "/minor-version": "HTTP/1.2 200 OK\r\n",
  "/page": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n",
};
const METHODS = ["CHICKEN", "QUERY", "patch"];

test("Chromium reads odd statuses and values, and sends invented methods, as without sluice", async () => {
  const backend = await startBackend(async (request) => {
    await request.wholeBody();
    const head = RESPONSES[request.target] ?? `HTTP/1.1 200 OK\r\nX-Method: ${request.method}\r\n`;
    request.send(Buffer.from(`${head}Content-Length: 2\r\n\r\nok`, "latin1"));
  });
  const { url } = await startGatewayTo(backend.url);
  const nginx = await startNginx({ upstream: new URL(url).host });
  const browser = await launchChromium();
  const read = async (origin: string) => {
    const page = await browser.newPage();
    await page.goto(`${origin}/page`);
    return page.evaluate(
      async ([paths, methods]) => {
        const seen: unknown[] = [];
        const note = async (path: string, method: string, body?: string) => {
          const init = body === undefined ? { method } : { method, body };
          const response = await fetch(path, init).catch(() => undefined);
          const names = ["x-a", "x-b", "x-method"];
          const fields = names.map((name) => response?.headers.get(name));
          seen.push([path, method, response?.status, response?.statusText, ...fields]);
        };
        for (const path of paths) for (const method of ["GET", "POST"]) await note(path, method);
        for (const method of methods) for (const body of [undefined, "egg"]) await note("/m", method, body);
        return seen;
      },
      [Object.keys(RESPONSES), METHODS] as const,
    );
  };
  const direct = await read(backend.url);
  expect(direct).toContainEqual(["/699", "GET", 699, "WAY OUT THERE", null, null, null]);
  expect(direct).toContainEqual(["/m", "CHICKEN", 200, "OK", null, null, "CHICKEN"]);
  expect(await read(url)).toEqual(direct);
  // nginx refuses methods in lower case itself.
  const isPassed = (row: unknown) => !JSON.stringify(row).includes("patch");
  expect((await read(nginx.url)).filter(isPassed)).toEqual(direct.filter(isPassed));
});
