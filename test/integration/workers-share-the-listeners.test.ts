import { statSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { openHttp2 } from "../support/http2-client.ts";
import { proxyV1 } from "../support/proxy-header.ts";
import { openRaw } from "../support/raw-client.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

const HELLO = { match: { path: "/*" }, mock: { status: 200, body: "hello" } };

const workersOf = (lines: readonly Readonly<Record<string, unknown>>[]) =>
  lines.map(({ worker }) => worker).sort();

test("connections are given to the workers in turn", async () => {
  const served = await serveWorkers({ routes: { main: HELLO } });
  for (let n = 0; n < 4; n++) expect(await (await fetchOnce(served.url)).text()).toBe("hello");
  await eventually(() => served.lines("request").length === 4, "four log lines");
  expect(workersOf(served.lines("request"))).toEqual([1, 1, 2, 2]);
  expect(served.lines("listening")).toHaveLength(1);
});

test("every worker serves TLS with HTTP/2, the PROXY protocol and two free ports", async () => {
  const tls = await certificateFiles();
  const served = await serveWorkers({
    routes: { main: HELLO },
    server: {
      listen: [
        { address: "127.0.0.1:0", tls },
        { address: "127.0.0.1:0", proxyProtocol: true },
      ],
      trustedProxies: ["127.0.0.1"],
    },
  });
  const [secure = 0, proxied = 0] = served
    .lines("listening")
    .map(({ address }) => Number(String(address).split(":")[1]));
  for (let n = 0; n < 4; n++) {
    const client = await openHttp2(secure);
    const exchange = client.request({ ":path": "/x" });
    await eventually(() => exchange.hasEnded, "an answer");
    expect(exchange.headers?.[":status"]).toBe(200);
    const raw = await openRaw(proxied);
    raw.send(`${proxyV1("203.0.113.7")}GET /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    await raw.ended();
    expect(raw.status).toBe(200);
  }
  await eventually(() => served.lines("request").length === 8, "eight log lines");
  const ofPath = (path: string) => served.lines("request").filter((line) => line["path"] === path);
  expect(workersOf(ofPath("/x"))).toEqual([1, 1, 2, 2]);
  expect(workersOf(ofPath("/y"))).toEqual([1, 1, 2, 2]);
  expect(new Set(ofPath("/y").map(({ client }) => client))).toEqual(new Set(["203.0.113.7"]));
});

test("a unix socket left by a killed process is replaced once, and has its mode", async () => {
  const cwd = directoryOf({
    "config/sluice.yaml": 'listen: { address: "unix:${SOCKET}", mode: "660" }\nadmin: false\nworkers: 2\n',
    "config/routes/main.yaml": 'match: { path: "/*" }\nmock: { status: 200, body: hello }\n',
  });
  const socketPath = join(cwd, "s");
  const start = () => startSluice(["serve"], { cwd, env: { SOCKET: socketPath } });
  const first = start();
  await first.logged("ready");
  first.kill("SIGKILL");
  await first.ended;
  const second = start();
  await second.logged("ready");
  expect(statSync(socketPath).mode & 0o777).toBe(0o660);
  for (let n = 0; n < 4; n++) expect(await statusOver(socketPath)).toBe(200);
  await second.logged("request", 3);
  const lines = second.lines().filter(({ msg }) => msg === "request");
  expect(workersOf(lines)).toEqual([1, 1, 2, 2]);
});

const statusOver = (socketPath: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = request({ socketPath, agent: false }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    });
    sent.once("error", reject).end();
  });
