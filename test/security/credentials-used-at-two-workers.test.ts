import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { rawSigned, WEB_CLIENT } from "../support/app-signer.ts";
import { eventually } from "../support/eventually.ts";
import { startIssuer } from "../support/issuer.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

test("a ticket of one worker opens once, at any worker; of many simultaneous uses exactly one succeeds", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const auth = { jwt: issuer.config(), ticket: {} };
  const served = await serveWorkers({
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth } },
  });
  const authorization = `Bearer ${await issuer.token()}`;
  for (let round = 0; round < 5; round += 1) {
    const asked = await fetchOnce(`${served.url}/feed?ticket`, {
      method: "POST",
      headers: { authorization },
    });
    const { ticket } = (await asked.json()) as { ticket: string };
    const clients = await Promise.all(Array.from({ length: 6 }, () => openRaw(served.port)));
    const request = `GET /feed?ticket=${ticket} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    for (const client of clients) client.send(request);
    await Promise.all(clients.map((client) => client.ended()));
    expect(clients.map(({ status }) => status).toSorted()).toEqual([200, 401, 401, 401, 401, 401]);
  }
  // Some tickets were issued by one worker and used at the other.
  await eventually(() => served.lines("request").length === 35, "all log lines");
  const worker = (method: string, status: number) =>
    served
      .lines("request")
      .filter((line) => line["method"] === method && line["status"] === status)
      .map((line) => line["worker"]);
  expect(new Set([...worker("POST", 201), ...worker("GET", 200)])).toEqual(new Set([1, 2]));
  expect(new Set(worker("GET", 401))).toEqual(new Set([1, 2]));
}, 120_000);

test("a signature used at one worker is refused by the other, also after the first was killed", async () => {
  const backend = await startPlainBackend();
  const auth = { app: { apps: ["web-client"], replay: "reject" } };
  const served = await serveWorkers({
    apps: { "web-client": WEB_CLIENT },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth } },
  });
  const raw = rawSigned({ method: "GET", host: served.host, path: "/a" });
  const send = async () => (await rawRequest(served.port, raw, { until: "\r\n\r\n" })).status;
  expect([await send(), await send(), await send(), await send()]).toEqual([200, 401, 401, 401]);
  await eventually(() => served.lines("request").length === 4, "all log lines");
  expect(new Set(served.lines("request").map(({ worker }) => worker))).toEqual(new Set([1, 2]));
  const [victim = 0] = served.pids();
  process.kill(victim, "SIGKILL");
  await served.restarted(1);
  expect([await send(), await send()]).toEqual([401, 401]);
  expect(backend.requests).toHaveLength(1);
}, 120_000);
