import { createServer } from "node:http";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { AppConfig } from "../../src/config/apps-schema.ts";
import { listen } from "../../src/demo/backends.ts";
import { startDemo } from "../../src/demo/demo.ts";
import { type PageSetup, servePage } from "../../src/demo/page.ts";
import { demoApp } from "../../src/demo/routes.ts";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { launchChromium } from "../support/chromium.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { startNginx } from "../support/nginx.ts";

/**
 * The article's page in Chromium, cross-origin: the API gateway's signer and event-source-polyfill, both
 * unmodified, through nginx with its default buffering, with preflights and APP authentication.
 */

/** A bare proxy_pass, with the line without which nginx sends another Host than the signed one. */
const BUFFERING_SITE = `server {
  listen \${PLAIN_LISTEN};
  location / {
    proxy_pass http://\${SLUICE_UPSTREAM};
    proxy_set_header Host $http_host;
  }
}`;

const behindNginx = (gateway: string) =>
  startNginx({ template: { text: BUFFERING_SITE }, upstream: new URL(gateway).host });

const text = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).textContent()) ?? "";

const shows = (page: Page, selector: string, wanted: RegExp): Promise<boolean> =>
  eventually(async () => wanted.test(await text(page, selector)), `${selector} ${wanted}`, {
    timeoutMs: 20_000,
    everyMs: 50,
  });

async function openPage(setup: PageSetup): Promise<Page> {
  const server = createServer((req, res) => servePage(req, res, setup));
  const { url, close } = await listen(server, "127.0.0.1", 0);
  afterTest(close);
  const page = await (await launchChromium()).newPage();
  await page.goto(`${url}/page/article.html`);
  return page;
}

/** The article's API with a backend controlled by the test. */
async function startApi() {
  const app = demoApp();
  const backend = await startBackend();
  const { name, key, secret } = app;
  const gateway = await startGateway({
    routes: {
      article: {
        match: { path: "/article/stream", methods: ["GET"] },
        upstream: backend.url,
        cors: true,
        auth: { app: [name] },
      },
    },
    apps: { [name]: { key, secret } },
  });
  const nginx = await behindNginx(gateway.url);
  return { app, backend, gateway, nginx };
}

const event = (n: number) => `id: ${n}\ndata: 2026-01-01T00:00:0${n}.000Z\n\n`;

/** A page server whose article page uses another gateway: nginx in front of the demo's. */
async function startPageOf(demoPageUrl: string, gatewayPort: number): Promise<string> {
  const path = "/page/article.html";
  const server = createServer(async (req, res) => {
    if (req.url !== path) return servePage(req, res);
    const html = await (await fetch(demoPageUrl + path)).text();
    const meta = /(gateway-port" content=")\d+/;
    res.setHeader("Content-Type", "text/html").end(html.replace(meta, `$1${gatewayPort}`));
  });
  const { url, close } = await listen(server, "127.0.0.1", 0);
  afterTest(close);
  return url + path;
}

test("the time changes every second, on the demo's own page and through nginx", async () => {
  const demo = await startDemo("127.0.0.1:0");
  afterTest(() => demo.close());
  const nginx = await behindNginx(demo.gatewayUrl);
  const page = await (await launchChromium()).newPage();
  const complaints: string[] = [];
  const asked = new Set<string>();
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("response", (response) => {
    if (response.url().endsWith("/article/stream")) asked.add(new URL(response.url()).origin);
  });
  await page.goto(demo.pageUrl);
  await page.click("#article");
  await showsFourTimes(page);
  await page.goto(await startPageOf(demo.pageUrl, nginx.port));
  await showsFourTimes(page);
  expect([...asked]).toEqual([demo.gatewayUrl, nginx.url]);
  expect(complaints).toEqual([]);
});

/** Waits for four events one by one: a buffer would release all at once, or none. */
async function showsFourTimes(page: Page): Promise<void> {
  const seen = new Map<string, number>();
  const look = async () => {
    const time = await text(page, "#clock");
    if (/\d/.test(time) && !seen.has(time)) seen.set(time, performance.now());
    return seen.size >= 4;
  };
  await eventually(look, "four times", { timeoutMs: 30_000, everyMs: 20 });
  const [first = 0, , , fourth = 0] = seen.values();
  // Three seconds, minus the delay at which the first one was seen.
  expect(fourth - first).toBeGreaterThan(1000);
  expect(await text(page, "#state")).toBe("live");
  expect(await text(page, "#connects")).toBe("1");
}

test("a forced reconnect is signed again, sends the last id as Last-Event-ID, and loses nothing", async () => {
  const { app, backend, gateway, nginx } = await startApi();
  const page = await openPage({ gatewayPort: nginx.port, app });
  const sent: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("/article/stream")) sent.push(`${request.method()} ${request.url()}`);
  });
  const first = await backend.nextRequest();
  expect(first.target).toBe("/article/stream");
  expect(first.field("last-event-id")).toBeUndefined();
  // The credential is for the gateway, and is not forwarded.
  expect(first.field("authorization")).toBeUndefined();
  expect(first.field("x-app-id")).toBe(app.name);
  first.openStream();
  for (const n of [1, 2, 3]) {
    first.emit(event(n));
    await shows(page, "#last-id", new RegExp(`^${n}$`));
  }
  const signedFirst = await text(page, "#authorization");
  first.emit("id: 4\ndata: ha");
  first.reset();

  const again = await backend.nextRequest();
  expect(again.target).toBe("/article/stream");
  expect(again.fieldLines("last-event-id")).toEqual(["3"]);
  again.openStream();
  for (const n of [4, 5]) again.emit(event(n));
  await shows(page, "#last-id", /^5$/);
  expect(await text(page, "#state")).toBe("live");
  expect(await text(page, "#connects")).toBe("2");
  expect(await text(page, "#authorization")).not.toBe(signedFirst);
  // The polyfill has added it to the query, behind the signed part.
  expect(sent.at(-1)).toBe(`GET ${nginx.url}/article/stream?lastEventId=3`);
  // The gateway answered the preflights: the backend got two requests and no OPTIONS.
  expect(backend.requests.map(({ method }) => method)).toEqual(["GET", "GET"]);
  expect(gateway.requestLines().some(({ method }) => method === "OPTIONS")).toBe(true);
});

test("an id with any characters comes back through the query as the backend's bytes", async () => {
  const { app, backend, nginx } = await startApi();
  await openPage({ gatewayPort: nginx.port, app });
  const id = "a+b c&lastEventId=7#é/%2F?=";
  const first = await backend.nextRequest();
  first.openStream();
  first.emit(`id: ${id}\ndata: 2026-01-01T00:00:00.000Z\n\n`);
  first.endStream();
  const again = await backend.nextRequest();
  expect(again.target).toBe("/article/stream");
  expect(again.fieldLines("last-event-id")).toEqual([Buffer.from(id, "utf8").toString("latin1")]);
});

test("a wrong secret gets a 401 that the page can read, and no request reaches the backend", async () => {
  const { app, backend, gateway, nginx } = await startApi();
  const wrong: AppConfig = { ...app, secret: ["wrong"] };
  const page = await openPage({ gatewayPort: nginx.port, app: wrong });
  await shows(page, "#state", /^closed$/);
  const [answer, line] = [await text(page, "#answer"), await gateway.requestLine(1)];
  expect(line).toMatchObject({ method: "GET", status: 401 });
  expect(answer).toBe(`401, request ${line["reqId"]}`);
  expect(backend.requests).toEqual([]);

  // The right secret opens the stream.
  await page.fill("#secret", app.secret[0] ?? "");
  await page.click("#credentials button");
  (await backend.nextRequest()).openStream();
  await shows(page, "#state", /^live$/);
  expect(await text(page, "#answer")).toBe("");
});
