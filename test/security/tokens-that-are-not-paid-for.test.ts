import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { askModel, startModelBackend } from "../support/model-backend.ts";
import { openRaw } from "../support/raw-client.ts";
import { ask, emitToken, startResuming } from "../support/resume.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

const HELD = { method: "POST", body: "{}", headers: { "x-usage": "hold" } };

async function start(tokens: object, server: Readonly<Record<string, unknown>> = {}) {
  const backend = await startModelBackend();
  const limits = { tokens: { per: "1h", ...tokens } };
  const main = { match: { path: "/*" }, upstream: backend.url, limits };
  return { backend, gateway: await startGateway({ routes: { main }, server }) };
}

test("of a hundred requests at once, only as many reach the model as have room for their reserves", async () => {
  const { backend, gateway } = await start({ tokens: 1000, reserve: 100 });
  const clients = Array.from({ length: 100 }, () => openStream(gateway.port, HELD));
  const refused = () => clients.filter(({ head }) => head?.status === 429).length;
  await eventually(
    () => refused() === 90 && backend.requests.length === 10,
    "ten requests and ninety refusals",
  );
  for (const client of clients) client.leave();
});

test.each([
  ["before the head", false],
  ["behind the head", true],
])("a client that aborts each request %s is refused when its reserves are used up", async (_, hasHead) => {
  const { backend, gateway } = await start({ tokens: 1000, reserve: 100 });
  for (let n = 0; n < 10; n++) {
    const client = openStream(gateway.port, HELD);
    await eventually(() => backend.requests.length > n, "the request");
    if (hasHead) {
      backend.requests[n]?.openStream();
      await client.opened();
    }
    client.leave();
    await gateway.requestLine(n);
  }
  await eventually(async () => (await askModel(gateway.url, "1,1")).status === 429, "a refusal");
  expect(backend.requests.length).toBeLessThanOrEqual(11);
});

test("clients beyond maxKeys share one count, and known clients keep their own", async () => {
  const limit = { tokens: 300, reserve: 100, by: "ip", maxKeys: 2 };
  const { gateway } = await start(limit, { trustedProxies: ["127.0.0.1"] });
  const from = async (last: number) =>
    (await askModel(gateway.url, "100,0", { "x-forwarded-for": `10.0.0.${last}` })).status;
  const statuses: number[] = [];
  for (const last of [1, 2, 3, 4, 5, 6, 7, 1, 2]) statuses.push(await from(last));
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 200, 200]);
});

test("a backend that reports more tokens than a number holds refuses its clients for one window, and no more", async () => {
  const { gateway } = await start({ tokens: 1000, reserve: 100 });
  const answer = await askModel(gateway.url, `${Number.MAX_SAFE_INTEGER},0`);
  expect(answer.status).toBe(200);
  await answer.text();
  await eventually(async () => (await askModel(gateway.url, "1,1")).status === 429, "a refusal");
  expect(gateway.log.filter(({ msg }) => msg === "internal error")).toEqual([]);
});

test("a backend that reports an invalid usage does not make its answers free", async () => {
  const { gateway } = await start({ tokens: 300, reserve: 100 });
  const statuses: number[] = [];
  for (let n = 0; n < 3; n++) {
    statuses.push((await askModel(gateway.url, "-500,1")).status);
    await gateway.requestLine(n);
  }
  expect(statuses).toEqual([200, 200, 200]);
  await eventually(async () => (await askModel(gateway.url, "1,1")).status === 429, "a refusal");
});

test.each([
  ["in lower case", "post", ""],
  ["with another method than POST", "PUT", ""],
  ["for an upgrade that the backend ignores", "POST", "Connection: Upgrade\r\nUpgrade: tcp\r\n"],
])("a request %s pays for its answer", async (_, method, fields) => {
  const backend = await startBackend(async (request) => {
    await request.wholeBody();
    const usage = { prompt_tokens: 70, completion_tokens: 30 };
    request.respond(200, { "Content-Type": "application/json" }, JSON.stringify({ usage }));
  });
  const limits = { tokens: { per: "1h", tokens: 300, reserve: 1 } };
  const gateway = await startGatewayTo(backend.url, { upgrade: ["tcp"], limits });
  const client = await openRaw(gateway.port);
  client.send(`${method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n${fields}\r\n{}`);
  await client.received("completion_tokens");
  expect(await gateway.requestLine()).toMatchObject({ inputTokens: 70, outputTokens: 30 });
});

test("a named answer costs its usage once, also if its client leaves before the first token and comes back", async () => {
  const limits = {
    tokens: { tokens: 1_000, per: "1h", by: "route", reserve: 100 },
    streamsPerClient: 1,
  };
  const { port, requests } = await startResuming({ route: { limits, llm: {} } });
  const left = ({ head }: StreamClient) =>
    Number(head?.fields.find(([name]) => name.toLowerCase() === "x-ratelimit-remaining-tokens")?.[1]);
  const first = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  first.leave();
  const usage = { prompt_tokens: 30, completion_tokens: 470 };
  let second = ask(port);
  // The first connection may be closed a moment later.
  await eventually(async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (second.head?.status === 429) second = ask(port);
    return second.head === undefined;
  }, "a place for the client");
  requests[0]?.openStream();
  emitToken(requests[0], JSON.stringify({ choices: [{ index: 0, delta: { content: "hi" } }] }));
  await second.received("hi");
  second.leave();
  emitToken(requests[0], JSON.stringify({ choices: [], usage }));
  requests[0]?.endStream();
  let third = ask(port);
  await eventually(async () => {
    if ((await third.opened()).status === 429 || left(third) !== 400) third = ask(port);
    return left(third) === 400;
  }, "the usage to be counted once");
  expect(requests).toHaveLength(1);
});
