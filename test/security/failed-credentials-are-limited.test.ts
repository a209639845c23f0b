import { createHmac } from "node:crypto";
import { expect, test, vi } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { signWithApigSdk, WEB_CLIENT } from "../support/app-signer.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { type Issuer, startIssuer } from "../support/issuer.ts";
import { startRedis } from "../support/redis.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

const CODE = "c".repeat(64);
const APPS = { "web-client": { ...WEB_CLIENT, appCodes: [CODE] } };
const REQUESTS = 3;
const ADDRESS = "192.0.2.1";
const BEYOND = "192.0.2.2";

type Fields = Readonly<Record<string, string>>;

async function start(failedAuth: unknown = { requests: REQUESTS, per: "1h" }, server: object = {}) {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await startGateway({
    server: { trustedProxies: ["127.0.0.1"], limits: { failedAuth }, ...server },
    apps: APPS,
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        auth: {
          app: { apps: ["web-client"], replay: "reject" },
          appCode: true,
          jwt: issuer.config({ cookie: "session" }),
          ticket: {},
        },
      },
      open: { match: { path: "/open" }, upstream: backend.url },
    },
  });
  return { backend, gateway, issuer };
}

const from = async (
  gateway: GatewayFixture,
  headers: Fields,
  { address = ADDRESS, path = "/a" }: { address?: string; path?: string } = {},
): Promise<Response> =>
  fetch(`${gateway.url}${path}`, { headers: { ...(address && { "x-forwarded-for": address }), ...headers } });

const statusFrom = async (...args: Parameters<typeof from>): Promise<number> => (await from(...args)).status;

const signedBy = ({ host }: GatewayFixture, app = WEB_CLIENT): Fields => {
  const { Host: _, host: __, ...fields } = signWithApigSdk({ method: "GET", host, path: "/a" }, app).headers;
  return fields;
};

/** Wrong credentials of each kind, a new one each time. */
const WRONG: Readonly<Record<string, (gateway: GatewayFixture, n: number) => [Fields, string?]>> = {
  "a signature of an unknown key": (gateway, n) => [signedBy(gateway, { key: `k${n}`, secret: "x" })],
  "a signature by another secret": (gateway, n) => [signedBy(gateway, { ...WEB_CLIENT, secret: `x${n}` })],
  "an AppCode": (_, n) => [{ "X-Apig-AppCode": `${n}`.padStart(64, "c") }],
  "a bearer token": (_, n) => [{ authorization: `Bearer a.b.${n}` }],
  "a session cookie": (_, n) => [{ cookie: `session=a.b.${n}` }],
  "a ticket": (_, n) => [{}, `/a?ticket=${n}`],
};

/** Returns credentials that are accepted as long as their client is not refused. */
const right = async (gateway: GatewayFixture, issuer: Issuer): Promise<readonly [Fields, string?][]> => [
  [signedBy(gateway)],
  [{ "X-Apig-AppCode": CODE }],
  [{ authorization: `Bearer ${await issuer.token()}` }],
  [{ cookie: `session=${await issuer.token()}` }],
];

test.each(Object.keys(WRONG))(
  "after the allowed number of wrong credentials, each %s, none is verified",
  async (kind) => {
    const { gateway, issuer, backend } = await start();
    const wrong = WRONG[kind] ?? (() => [{}]);
    const send = async (n: number, address?: string) => {
      const [fields, path = "/a"] = wrong(gateway, n);
      return statusFrom(gateway, fields, { path, ...(address !== undefined && { address }) });
    };
    for (let n = 0; n < REQUESTS; n++) expect(await send(n)).toBe(401);
    // From here on no signature is computed, whatever the request contains.
    const credentials = [...(await right(gateway, issuer)), wrong(gateway, 99)];
    const spy = vi.spyOn(Object.getPrototypeOf(createHmac("sha256", "")) as { digest(): unknown }, "digest");
    for (const [fields, path = "/a"] of credentials) {
      const answer = await from(gateway, fields, { path });
      expect(answer.status, JSON.stringify(fields)).toBe(429);
      const retryAfter = Number(answer.headers.get("retry-after"));
      expect(retryAfter).toBeGreaterThan(3_500);
      expect(retryAfter).toBeLessThanOrEqual(3_960);
      expect(await answer.json()).toMatchObject({ error_code: "APIG.0308" });
    }
    expect(spy).not.toHaveBeenCalled();
    spy.mockRestore();
    expect(backend.requests).toHaveLength(0);
    // Other clients, and routes without credentials, are not affected.
    expect(await send(100, BEYOND)).toBe(401);
    for (const [fields] of await right(gateway, issuer)) {
      expect(await statusFrom(gateway, fields, { address: BEYOND })).toBe(200);
    }
    expect(await statusFrom(gateway, {})).toBe(401);
    expect(await statusFrom(gateway, {}, { path: "/open" })).toBe(200);
    expect((await gateway.requestLine(REQUESTS))["err"]).toMatchObject({
      code: "rate_limited",
      message: `limits.failedAuth for ${ADDRESS}`,
    });
  },
);

test("a request without a credential, or with one that is or was right, or of another app, is not counted", async () => {
  const { gateway, issuer } = await start({ requests: 1, per: "1h" });
  const expired = await issuer.token({ expiresIn: -60 });
  const signed = signedBy(gateway);
  expect(await statusFrom(gateway, signed)).toBe(200);
  const old = "20191115T033655Z";
  const asked = await fetch(`${gateway.url}/a?ticket`, {
    method: "POST",
    headers: { authorization: `Bearer ${await issuer.token()}`, "x-forwarded-for": ADDRESS },
  });
  const { ticket } = (await asked.json()) as { ticket: string };
  expect(await statusFrom(gateway, {}, { path: `/a?ticket=${ticket}` })).toBe(200);
  for (let round = 0; round < 3; round++) {
    expect(await statusFrom(gateway, {})).toBe(401);
    expect(await statusFrom(gateway, { "X-Apig-AppCode": CODE })).toBe(200);
    // Pages retry with an expired signature, token or ticket, many of them from one address.
    expect(await statusFrom(gateway, signed), "replayed").toBe(401);
    expect(await statusFrom(gateway, { ...signed, "X-Sdk-Date": old }), "an old date").toBe(401);
    expect(await statusFrom(gateway, {}, { path: `/a?ticket=${ticket}` }), "a used ticket").toBe(401);
    expect(await statusFrom(gateway, { authorization: `Bearer ${expired}` }), "expired").toBe(401);
  }
  expect(await statusFrom(gateway, { "X-Apig-AppCode": "x" })).toBe(401);
  expect(await statusFrom(gateway, { "X-Apig-AppCode": CODE })).toBe(429);
});

test("the window ends, a reload removes the limit, and `off` sets none", async () => {
  const { gateway, backend } = await start({ requests: 1, per: "1s" });
  const wrong = { "X-Apig-AppCode": "x" };
  expect(await statusFrom(gateway, wrong)).toBe(401);
  expect(await statusFrom(gateway, wrong)).toBe(429);
  await eventually(async () => (await statusFrom(gateway, { "X-Apig-AppCode": CODE })) === 200, "the end");
  const setup = (failedAuth: unknown) => ({
    server: { trustedProxies: ["127.0.0.1"], limits: { failedAuth } },
    apps: APPS,
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { appCode: true } } },
  });
  await gateway.reload(setup({ requests: 1, per: "1h" }));
  expect(await statusFrom(gateway, wrong)).toBe(401);
  expect(await statusFrom(gateway, wrong)).toBe(429);
  // A reload that leaves the limit unchanged does not lift the refusal.
  await gateway.reload(setup({ requests: 1, per: "1h" }));
  expect(await statusFrom(gateway, wrong)).toBe(429);
  await gateway.reload(setup("off"));
  for (let n = 0; n < 150; n++) expect(await statusFrom(gateway, wrong)).toBe(401);
});

test("the default is a hundred failures in a minute", async () => {
  const { gateway } = await start({});
  const statuses: number[] = [];
  for (let n = 0; n < 105; n++) statuses.push(await statusFrom(gateway, { "X-Apig-AppCode": "x" }));
  expect(statuses.indexOf(429)).toBe(100);
  expect(new Set(statuses.slice(100))).toEqual(new Set([429]));
});

test("a proxy for many clients is not refused because of one of them", async () => {
  const wrong = { "X-Apig-AppCode": "x" };
  // A proxy that is not trusted, and a trusted one that does not report the client.
  const { gateway: untrusting } = await start({ requests: 1, per: "1h" }, { trustedProxies: [] });
  const { gateway: silent } = await start({ requests: 1, per: "1h" });
  for (let n = 0; n < 5; n++) {
    expect(await statusFrom(untrusting, wrong)).toBe(401);
    expect(await statusFrom(silent, wrong, { address: "" })).toBe(401);
  }
  // A client of its own is refused.
  const { gateway } = await start({ requests: 1, per: "1h" }, { trustedProxies: [] });
  expect(await statusFrom(gateway, wrong, { address: "" })).toBe(401);
  expect(await statusFrom(gateway, wrong, { address: "" })).toBe(429);
});

test("addresses of one /64 are one client, and no more than maxKeys clients are told apart", async () => {
  const { gateway } = await start({ requests: 1, per: "1h", maxKeys: 2 });
  const wrong = { "X-Apig-AppCode": "x" };
  expect(await statusFrom(gateway, wrong, { address: "2001:db8::1:0:0:1" })).toBe(401);
  expect(await statusFrom(gateway, wrong, { address: "2001:db8::2:0:0:2" })).toBe(429);
  for (let n = 1; n <= 5; n++) expect(await statusFrom(gateway, wrong, { address: `10.0.0.${n}` })).toBe(401);
  // A client without a failure is not refused because of the others.
  expect(await statusFrom(gateway, { "X-Apig-AppCode": CODE }, { address: "10.0.0.9" })).toBe(200);
});

test("workers count together: at most one more failure at each of them", async () => {
  const backend = await startPlainBackend();
  const served = await serveWorkers({
    server: { limits: { failedAuth: { requests: 6, per: "1h" } } },
    apps: APPS,
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { appCode: true } } },
  });
  const statuses: number[] = [];
  for (let n = 0; n < 40; n++) {
    const { status } = await fetchOnce(`${served.url}/a`, { headers: { "X-Apig-AppCode": "x" } });
    statuses.push(status);
  }
  const failures = statuses.filter((status) => status === 401).length;
  expect(failures).toBeGreaterThanOrEqual(6);
  expect(failures).toBeLessThanOrEqual(7);
  expect(statuses.slice(-20)).toEqual(Array.from({ length: 20 }, () => 429));
}, 120_000);

test("instances count together in Redis", async () => {
  const redis = await startRedis();
  const limits = { failedAuth: { requests: 4, per: "1h" } };
  const setup = { redis: redis.url };
  const one = await start(limits.failedAuth, setup);
  const other = await start(limits.failedAuth, setup);
  const wrong = { "X-Apig-AppCode": "x" };
  for (const { gateway } of [one, other]) {
    // Before that, Redis cannot tell whether a signature was used: 503.
    await eventually(async () => (await statusFrom(gateway, signedBy(gateway))) !== 503, "Redis to be found");
  }
  for (let n = 0; n < 3; n++) expect(await statusFrom(one.gateway, wrong)).toBe(401);
  expect(await statusFrom(other.gateway, wrong)).toBe(401);
  expect(await statusFrom(other.gateway, wrong)).toBe(429);
  // The instance learns of it with its next failure.
  expect(await statusFrom(one.gateway, wrong)).toBe(401);
  expect(await statusFrom(one.gateway, wrong)).toBe(429);
}, 120_000);
