import { expect, test } from "vitest";
import { refusalOf } from "../support/answers.ts";
import { refusedPort } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { startIssuer } from "../support/issuer.ts";
import { CHAT_CHUNKS, CHAT_WITHOUT_USAGE } from "../support/model-answers.ts";
import { askModel, startModelBackend } from "../support/model-backend.ts";
import { openStream } from "../support/sse-client.ts";

const CODE_A = "a".repeat(64);
const CODE_B = "b".repeat(64);
const apps = {
  one: { key: "one", secret: "s1", appCodes: [CODE_A] },
  two: { key: "two", secret: "s2", appCodes: [CODE_B] },
};
const code = (value: string) => ({ "x-apig-appcode": value });
const ip = (address: string) => ({ "x-forwarded-for": address });
/** A request that the backend does not answer: the test does. */
const HELD = { method: "POST", body: "{}", headers: { "x-usage": "hold" } };
const HOUR = { per: "1h", reserve: 100 };

const start = async (tokens: unknown, more: Record<string, unknown> = {}) => {
  const backend = await startModelBackend();
  const route = { match: { path: "/*" }, upstream: backend.url, limits: { tokens }, ...more };
  const server = { trustedProxies: ["127.0.0.1"] };
  const gateway = await startGateway({ routes: { main: route }, server, apps });
  const ask = (usage: string, headers: Record<string, string> = {}) => askModel(gateway.url, usage, headers);
  /** Returns the tokens that are left. A HEAD takes the reserve, and gives it back a moment after its response. */
  const left = async (headers: Record<string, string> = {}) => {
    const response = await fetch(gateway.url, { method: "HEAD", headers });
    const remaining = Number(response.headers.get("x-ratelimit-remaining-tokens"));
    return response.status === 429 ? 0 : remaining + 100;
  };
  const becomes = (tokensLeft: number, headers?: Record<string, string>) =>
    eventually(async () => (await left(headers)) === tokensLeft, `${tokensLeft} tokens left`);
  return { backend, gateway, ask, left, becomes };
};

test("the tokens of each answer are counted, and beyond the limit a request gets a 429", async () => {
  const { backend, ask, becomes, gateway } = await start({ tokens: 1000, ...HOUR });
  const first = await ask("500,100");
  expect(first.status).toBe(200);
  expect(first.headers.get("x-ratelimit-limit-tokens")).toBe("1000");
  expect(first.headers.get("x-ratelimit-remaining-tokens")).toBe("900");
  expect(first.headers.get("x-ratelimit-reset-tokens")).toBe("1h0m0s");
  await becomes(400);
  expect((await ask("300,50")).status).toBe(200);
  await eventually(async () => (await ask("1,1")).status === 429, "a refusal");
  const refused = await ask("1,1");
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(3500);
  expect(refused.headers.get("x-ratelimit-remaining-tokens")).toBe("0");
  expect(refused.headers.get("x-ratelimit-reset-tokens")).toMatch(/^(?:1h0m0s|59m\d+s)$/);
  expect(await refusalOf(refused)).toMatchObject({ status: 429, body: { error_code: "APIG.0308" } });
  const asked = backend.requests.filter(({ method }) => method === "POST").length;
  expect(
    gateway.requestLines().filter(({ method, status }) => method === "POST" && status === 200),
  ).toHaveLength(asked);
});

test("an answer that needs less than its reserve gives the rest back", async () => {
  const { ask, becomes } = await start({ tokens: 1000, ...HOUR });
  for (let n = 0; n < 20; n++) await ask("5,5");
  await becomes(800);
});

test("a refused request takes nothing", async () => {
  const { backend, gateway, ask, becomes } = await start({ tokens: 150, ...HOUR });
  const client = openStream(gateway.port, HELD);
  const request = await backend.nextRequest();
  for (let n = 0; n < 5; n++) expect((await ask("1,1")).status).toBe(429);
  request.openStream();
  request.emit(CHAT_CHUNKS.join(""));
  request.endStream();
  await client.ended();
  await becomes(121);
});

test("without usage an answer costs the reserve, or its events if they are more", async () => {
  const { ask, backend, becomes, gateway } = await start({ tokens: 1000, ...HOUR, reserve: 100 });
  expect((await ask("none")).status).toBe(200);
  await becomes(900);
  const client = openStream(gateway.port, HELD);
  const request = await eventually(
    () => backend.requests.find((one) => one.field("x-usage") === "hold"),
    "it",
  );
  if (typeof request !== "object") throw new TypeError("expected a request");
  request.openStream();
  for (let n = 0; n < 150; n++) request.emit('data: {"choices":[{"delta":{"content":"x"}}]}\n\n');
  request.emit(CHAT_WITHOUT_USAGE);
  request.endStream();
  await client.ended();
  // 150 and the five events of the example.
  await becomes(745);
});

test("an aborted answer costs the reserve, also before its head, and an answer that drains costs its usage", async () => {
  const { backend, becomes, gateway } = await start({ tokens: 1000, ...HOUR });
  const open = async () => {
    const from = backend.requests.length;
    const client = openStream(gateway.port, HELD);
    const request = await eventually(() => backend.requests[from], "the request");
    if (typeof request !== "object") throw new TypeError("expected a request");
    return { client, request };
  };
  const early = await open();
  early.client.leave();
  await becomes(900);
  const late = await open();
  late.request.openStream();
  late.request.emit(CHAT_CHUNKS.slice(0, 2).join(""));
  await late.client.received("Hello");
  late.client.leave();
  await becomes(800);
  const done = await open();
  done.request.openStream();
  done.request.emit(CHAT_CHUNKS.slice(0, 5).join(""));
  await done.client.received('"total_tokens":29');
  // The usage has come, so the abort hides nothing.
  done.client.leave();
  await becomes(771);
});

test("with onClientGone: drain the reserve is held until the backend ends, then its usage counts", async () => {
  const { backend, becomes, gateway } = await start(
    { tokens: 1000, ...HOUR },
    { stream: { onClientGone: "drain" } },
  );
  const client = openStream(gateway.port, HELD);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit(CHAT_CHUNKS.slice(0, 2).join(""));
  await client.received("Hello");
  client.leave();
  await gateway.requestLine();
  await becomes(900);
  request.emit(CHAT_CHUNKS.slice(2).join(""));
  request.endStream();
  await becomes(971);
});

test("errors of the backend, unreachable backends and requests without an answer of a model cost nothing", async () => {
  const { ask, becomes, gateway } = await start({ tokens: 1000, ...HOUR });
  expect((await ask("error")).status).toBe(500);
  expect((await fetch(gateway.url)).status).toBe(200);
  await becomes(1000);
  const upstream = `http://127.0.0.1:${await refusedPort()}`;
  const down = await startGateway({
    routes: { main: { match: { path: "/*" }, upstream, limits: { tokens: { tokens: 150, ...HOUR } } } },
  });
  for (let n = 0; n < 3; n++)
    await eventually(async () => (await askModel(down.url, "1,1")).status === 502, "a settled reserve");
});

test("by app, by principal and by ip each have their own count, and all limits of a list hold", async () => {
  const { ask } = await start({ tokens: 300, by: "app", ...HOUR }, { auth: { appCode: true } });
  const spend = async (headers: Record<string, string>) => (await ask("300,0", headers)).status;
  const refuses = (headers: Record<string, string>) =>
    eventually(async () => (await ask("0,0", headers)).status === 429, "a refusal");
  expect(await spend({ ...code(CODE_A), ...ip("10.0.0.1") })).toBe(200);
  await refuses({ ...code(CODE_A), ...ip("10.0.0.2") });
  expect(await spend(code(CODE_B))).toBe(200);

  const byIp = await start([
    { tokens: 300, by: "ip", ...HOUR },
    { tokens: 500, by: "route", ...HOUR },
  ]);
  expect((await byIp.ask("300,0", ip("10.0.0.1"))).status).toBe(200);
  await eventually(async () => (await byIp.ask("0,0", ip("10.0.0.1"))).status === 429, "a refusal by ip");
  const second = await byIp.ask("150,0", ip("10.0.0.2"));
  expect(second.status).toBe(200);
  // The fields show the limit with the fewest tokens left.
  expect(second.headers.get("x-ratelimit-limit-tokens")).toBe("500");
  await eventually(async () => (await byIp.ask("0,0", ip("10.0.0.3"))).status === 429, "a refusal by route");
});

test("by principal: each subject of a token has its own count, at any address", async () => {
  const issuer = await startIssuer();
  const { ask } = await start({ tokens: 300, by: "principal", ...HOUR }, { auth: { jwt: issuer.config() } });
  const as = async (sub: string) => ({ authorization: `Bearer ${await issuer.token({ claims: { sub } })}` });
  expect((await ask("300,0", { ...(await as("anna")), ...ip("10.0.0.1") })).status).toBe(200);
  const anna = { ...(await as("anna")), ...ip("10.0.0.2") };
  await eventually(async () => (await ask("0,0", anna)).status === 429, "a refusal");
  expect((await ask("1,1", { ...(await as("ben")), ...ip("10.0.0.1") })).status).toBe(200);
});

test("a reload keeps the counts of a limit that did not change", async () => {
  const { ask, backend, becomes, gateway } = await start({ tokens: 1000, ...HOUR });
  await ask("500,0");
  await becomes(500);
  const limits = { tokens: { tokens: 1000, ...HOUR } };
  const main = { match: { path: "/*" }, upstream: backend.url, limits, debug: true };
  await gateway.reload({ routes: { main }, server: { trustedProxies: ["127.0.0.1"] }, apps });
  await becomes(500);
  await gateway.reload({
    routes: { main: { ...main, limits: { tokens: { tokens: 2000, ...HOUR } } } },
    server: { trustedProxies: ["127.0.0.1"] },
    apps,
  });
  await becomes(2000);
});

test("the fields replace those of the backend, and a page may read them", async () => {
  const cors = { allowOrigins: ["https://app.example.com"], allowCredentials: true };
  const { gateway, backend } = await start({ tokens: 1000, ...HOUR }, { cors });
  const client = openStream(gateway.port, {
    method: "POST",
    body: "{}",
    headers: { "x-usage": "hold", Origin: "https://app.example.com" },
  });
  const request = await backend.nextRequest();
  request.respond(200, { "X-RateLimit-Remaining-Tokens": "7", "X-RateLimit-Remaining-Requests": "9" }, "{}");
  await client.ended();
  expect(client.fieldLines("x-ratelimit-remaining-tokens")).toEqual(["900"]);
  expect(client.fieldLines("x-ratelimit-remaining-requests")).toEqual(["9"]);
  expect(client.field("access-control-expose-headers")).toBe(
    "X-Request-Id, Mcp-Session-Id, Retry-After, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens",
  );
});
