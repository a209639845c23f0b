import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { get } from "node:https";
import { expect, onTestFinished, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { certificate } from "../support/certificate.ts";
import { launchChromium } from "../support/chromium.ts";
import { eventually } from "../support/eventually.ts";
import { startSecureGatewayTo } from "../support/http2-client.ts";
import { startNginx } from "../support/nginx.ts";
import { openStream } from "../support/sse-client.ts";

const STREAMS = 50;

test("a page opens 50 EventSources over one connection, and each gets its own events", async () => {
  const backend = await startBackend((request) => {
    if (request.target === "/page")
      request.respond(200, { "Content-Type": "text/html" }, "<title>page</title>");
    else if (request.target.startsWith("/events/")) request.openStream();
    else request.respond(404);
  });
  const gateway = await startSecureGatewayTo(backend.url, {}, { limits: { requestTimeout: "5s" } });
  const browser = await launchChromium();
  const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
  await page.goto(`https://localhost:${gateway.port}/page`);
  await page.evaluate((count) => {
    const all = Array.from({ length: count }, () => "");
    Object.assign(globalThis, { received: all });
    for (let at = 0; at < count; at++) {
      new EventSource(`/events/${at}`).onmessage = ({ data }) => {
        all[at] += data;
      };
    }
  }, STREAMS);
  const streams = () => backend.requests.filter(({ target }) => target.startsWith("/events/"));
  await eventually(() => streams().length === STREAMS, "every stream", { timeoutMs: 30_000 });
  for (const request of streams()) request.emit(`data: ${request.target}\n\n`);
  const received = () => page.evaluate(() => (globalThis as unknown as { received: string[] }).received);
  await eventually(async () => (await received()).every((text) => text !== ""), "every event", {
    timeoutMs: 30_000,
  });
  expect(await received()).toEqual(Array.from({ length: STREAMS }, (_, at) => `/events/${at}`));
  // As text, because the types of a page are not available here.
  const used = await page.evaluate(
    "performance.getEntriesByType('navigation').map((one) => one.nextHopProtocol)",
  );
  expect(used).toEqual(["h2"]);
  // During a slow handshake Chromium opens another connection. Unused, it stays open as long as a request may take.
  await eventually(async () => (await connectionsTo(gateway.port)) === 1, "one connection for all", {
    timeoutMs: 30_000,
  });
  expect(streams().every(({ connection }) => connection.isOpen)).toBe(true);
  await page.close();
  await eventually(
    () => streams().every(({ connection }) => !connection.isOpen),
    "every stream to be cancelled",
  );
});

/** Counts the connections to a port in the kernel's table. */
async function connectionsTo(port: number): Promise<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const tables = await Promise.all(["tcp", "tcp6"].map((name) => readFile(`/proc/net/${name}`, "utf8")));
  return tables
    .flatMap((table) => table.split("\n"))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${hex}`) && state === "01").length;
}

const run = (file: string, args: readonly string[]) =>
  new Promise<string>((resolve, reject) => {
    execFile(file, args, (error, stdout) => (error === null ? resolve(stdout) : reject(error)));
  });

test("curl --http2 gets events as they arrive, and an ordinary response completely", async () => {
  const backend = await startBackend((request) => {
    if (request.target === "/events") request.openStream();
    else request.respond(200, {}, `${request.method} ${request.body}`);
  });
  const gateway = await startSecureGatewayTo(backend.url);
  const curl = spawn("curl", ["-skN", "--http2", "-D-", `https://127.0.0.1:${gateway.port}/events`]);
  onTestFinished(() => void curl.kill());
  let text = "";
  curl.stdout.on("data", (bytes) => {
    text += bytes;
  });
  const request = await backend.nextRequest();
  request.emit("data: one\n\n");
  await eventually(() => text.includes("data: one\n\n"), "the event");
  expect(text).toMatch(/^HTTP\/2 200 \r\n/);
  request.endStream();
  await new Promise((resolve) => curl.once("close", resolve));
  expect(curl.exitCode).toBe(0);
  const url = `https://127.0.0.1:${gateway.port}/`;
  expect(await run("curl", ["-sk", "--http2", "--fail", url])).toBe("GET ");
  expect(await run("curl", ["-sk", "--http1.1", "--fail", url])).toBe("GET ");
});

test("curl reports an aborted backend response", async () => {
  const backend = await startBackend();
  const gateway = await startSecureGatewayTo(backend.url);
  const curl = spawn("curl", ["-skN", "--http2", `https://127.0.0.1:${gateway.port}/events`]);
  onTestFinished(() => void curl.kill());
  let text = "";
  curl.stdout.on("data", (bytes) => {
    text += bytes;
  });
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: half");
  await eventually(() => text.includes("data: half"), "the half");
  request.reset();
  await new Promise((resolve) => curl.once("close", resolve));
  // CURLE_HTTP2_STREAM: the stream was not closed cleanly.
  expect(curl.exitCode).toBe(92);
});

test("nginx in front uses TLS to the gateway, and events arrive at once", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {}, { trustedProxies: ["127.0.0.1"] });
  const text = [
    "server {",
    "listen ${PLAIN_LISTEN};",
    "location / {",
    "proxy_pass https://${SLUICE_UPSTREAM};",
    "proxy_http_version 1.1;",
    'proxy_set_header Connection "";',
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    "}",
    "}",
  ].join("\n");
  const nginx = await startNginx({ upstream: gateway.host, template: { text } });
  const client = openStream(nginx.port, { path: "/events" });
  await client.opened();
  const request = await backend.nextRequest();
  request.emit("data: one\n\n");
  await client.received("data: one\n\n");
  expect(request.field("x-forwarded-proto")).toBe("https");
  client.leave();
  await request.connection.closed;
});

test("Node's https client reads over HTTP/1.1 the same stream as a page over HTTP/2", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "hello"));
  const gateway = await startSecureGatewayTo(backend.url);
  const answer = await new Promise<string>((resolve, reject) => {
    get(`https://localhost:${gateway.port}/`, { ca: certificate.cert }, (response) => {
      response.setEncoding("utf8").on("data", resolve);
    }).on("error", reject);
  });
  expect(answer).toBe("hello");
});
