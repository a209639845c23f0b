import { expect, test, vi } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { signWithApigSdk, WEB_CLIENT } from "../support/app-signer.ts";
import { type Backend, startBackend } from "../support/backend.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { type Issuer, startIssuer } from "../support/issuer.ts";
import { rawRequest } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

const start = (backend: Backend, issuer: Issuer, ticket: Record<string, unknown> = {}) => {
  const auth = { jwt: issuer.config({ claims: { "X-User": "sub" } }), ticket };
  return startGateway({
    routes: {
      feed: { match: { path: "/feed/*", methods: ["GET"] }, upstream: backend.url, websocket: true, auth },
      other: { match: { path: "/other" }, upstream: backend.url, auth },
      plain: { match: { path: "/plain" }, upstream: backend.url, auth: { jwt: issuer.config() } },
    },
  });
};

interface Ticket {
  readonly ticket: string;
  readonly expiresIn: number;
}

async function askFor(gateway: GatewayFixture, token: string, path = "/feed/a", query = "?ticket") {
  return fetch(`${gateway.url}${path}${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
}

const ticketFor = async (...args: Parameters<typeof askFor>): Promise<string> =>
  ((await (await askFor(...args)).json()) as Ticket).ticket;

test("a ticket opens its path once, for its principal, and is not forwarded to the backend", async () => {
  const backend = await startBackend((request) => request.openStream());
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  // The route's methods do not include POST; asking for a ticket is not a request of the route.
  const answer = await askFor(gateway, await issuer.token());
  expect(answer.status).toBe(201);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("x-request-id")).not.toBeNull();
  const { ticket, expiresIn } = (await answer.json()) as Ticket;
  expect(expiresIn).toBe(30);
  expect(Buffer.from(ticket, "base64url")).toHaveLength(32);
  expect(backend.requests).toHaveLength(0);

  const stream = openStream(gateway.port, {
    path: `/feed/a?room=1&ticket=${ticket}&x=%2B`,
    headers: { "X-User": "root" },
  });
  expect((await stream.opened()).status).toBe(200);
  const { head } = await backend.nextRequest();
  expect(head.target).toBe("/feed/a?room=1&x=%2B");
  expect(head.fields.filter(([name]) => /^x[-_]user$/i.test(name))).toEqual([["X-User", "anna"]]);

  const again = openStream(gateway.port, { path: `/feed/a?room=1&ticket=${ticket}` });
  expect((await again.opened()).status).toBe(401);
  expect(backend.requests).toHaveLength(1);
});

test("a ticket is valid only for the request that it was issued for", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  const token = await issuer.token();
  const use = async (path: string, method = "GET", headers: Record<string, string> = {}) =>
    (await fetch(`${gateway.url}${path}`, { method, headers })).status;

  for (const [name, request] of Object.entries<(ticket: string) => Promise<number>>({
    "another path": (ticket) => use(`/feed/b?ticket=${ticket}`),
    "another route": (ticket) => use(`/other?ticket=${ticket}`),
    "a route without tickets": (ticket) => use(`/plain?ticket=${ticket}`),
    "another method": (ticket) => use(`/feed/a?ticket=${ticket}`, "HEAD"),
    "a second ticket": (ticket) => use(`/feed/a?ticket`, "POST", { authorization: `Bearer ${ticket}` }),
    "two at once": (ticket) => use(`/feed/a?ticket=${ticket}&ticket=${ticket}`),
    "two at once, one spelled otherwise": (ticket) => use(`/feed/a?ticket=x&%74icket=${ticket}`),
    "another credential beside it": (ticket) =>
      use(`/feed/a?ticket=${ticket}`, "GET", { authorization: `Bearer ${token}` }),
    "a change of its last letter": (ticket) => use(`/feed/a?ticket=${ticket.slice(0, -1)}-`),
    "more behind it": (ticket) => use(`/feed/a?ticket=${ticket}x`),
    "nothing in it": () => use("/feed/a?ticket="),
  })) {
    expect(await request(await ticketFor(gateway, token)), name).toBe(401);
  }
  expect(backend.requests).toHaveLength(0);
  // Control; `ticket=`, as signers and URLSearchParams write it, also asks for a ticket.
  expect(await use(`/feed/a?%74icket=${await ticketFor(gateway, token, "/feed/a", "?ticket=")}`)).toBe(200);
  expect((await backend.nextRequest()).target).toBe("/feed/a");
});

test("only a verified client gets a ticket, and only if the route issues tickets", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  const ask = async (path: string, headers: Record<string, string> = {}) =>
    (await fetch(`${gateway.url}${path}`, { method: "POST", headers })).status;
  const authorization = `Bearer ${await issuer.token()}`;

  expect(await ask("/feed/a?ticket")).toBe(401);
  expect(await ask("/feed/a?ticket", { authorization: "Bearer x" })).toBe(401);
  // With any other query it is an ordinary POST, which the route does not allow.
  expect(await ask("/feed/a?ticket&room=1", { authorization })).toBe(405);
  expect(await ask("/feed/a", { authorization })).toBe(405);
  expect(backend.requests).toHaveLength(0);
  expect(await ask("/plain?ticket", { authorization })).toBe(200);
  expect((await backend.nextRequest()).target).toBe("/plain?ticket");
});

test("a page of another origin may ask for a ticket, but may not POST anything else", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const origin = "https://app.example.com";
  const gateway = await startGateway({
    routes: {
      feed: {
        // Any method, so that clients of the route itself may use POST; pages may not.
        match: { path: "/feed" },
        upstream: backend.url,
        cors: { allowOrigins: [origin], allowMethods: ["GET"] },
        auth: { jwt: issuer.config(), ticket: {} },
      },
    },
  });
  const allowed = async (query: string, method: string, from = origin) => {
    const headers = { origin: from, "access-control-request-method": method };
    const { headers: fields } = await fetch(`${gateway.url}/feed${query}`, { method: "OPTIONS", headers });
    return fields.get("access-control-allow-methods");
  };
  expect(await allowed("?ticket", "POST")).toBe("GET, POST");
  expect(await allowed("?ticket=", "POST")).toBe("GET, POST");
  expect(await allowed("?ticket", "POST", "https://evil.example")).toBeNull();
  expect(await allowed("?ticket=x", "POST")).toBeNull();
  expect(await allowed("", "POST")).toBeNull();
  // Refused: the reply names what is allowed.
  expect(await allowed("?ticket", "PUT")).toBe("GET");
  expect(await allowed("", "GET")).toBe("GET");
  expect(backend.requests).toHaveLength(0);
});

test("a ticket expires after its own time, or earlier with the credential for which it was issued", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  // Long, because this test fakes only a part of the clock.
  const gateway = await start(backend, issuer, { ttl: "20s" });
  const token = await issuer.token();
  const answer = await askFor(gateway, token);
  expect(((await answer.json()) as Ticket).expiresIn).toBe(20);
  const use = async (afterMs: number): Promise<number> => {
    const ticket = await ticketFor(gateway, token);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + afterMs });
    const { status } = await fetch(`${gateway.url}/feed/a?ticket=${ticket}`);
    vi.useRealTimers();
    return status;
  };
  expect(await use(10_000)).toBe(200);
  expect(await use(20_001)).toBe(401);
  expect(gateway.log.at(-1)).toMatchObject({ err: { message: "expired ticket" } });

  const patient = await start(backend, issuer);
  const brief = await askFor(patient, await issuer.token({ expiresIn: 10 }));
  expect(((await brief.json()) as Ticket).expiresIn).toBeLessThanOrEqual(10);
});

test("a page that opens a new stream with a new ticket resumes by a query parameter", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  const token = await issuer.token();
  const heard = async (query: (ticket: string) => string) => {
    await fetch(`${gateway.url}/feed/a${query(await ticketFor(gateway, token))}`);
    const { head } = await backend.nextRequest();
    return [head.target, head.fields.find(([name]) => name === "Last-Event-ID")?.[1]];
  };
  expect(await heard((ticket) => `?room=1&ticket=${ticket}&lastEventId=7`)).toEqual(["/feed/a?room=1", "7"]);
  expect(await heard((ticket) => `?lastEventId=7&ticket=${ticket}`)).toEqual(["/feed/a", "7"]);
  expect(await heard((ticket) => `?ticket=${ticket}`)).toEqual(["/feed/a", undefined]);
});

test("unused tickets are bounded; a request beyond the bound gets a Retry-After", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer, { limit: 2 });
  const token = await issuer.token();
  const first = await ticketFor(gateway, token);
  await ticketFor(gateway, token);
  const refused = await askFor(gateway, token);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(25);
  expect((await fetch(`${gateway.url}/feed/a?ticket=${first}`)).status).toBe(200);
  expect((await askFor(gateway, token)).status).toBe(201);
});

test("a signed request gets a ticket, so that a page signs once and then uses the native EventSource", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGateway({
    apps: { shop: WEB_CLIENT },
    routes: {
      feed: {
        match: { path: "/feed", methods: ["GET"] },
        upstream: backend.url,
        auth: { app: ["shop"], ticket: {} },
      },
    },
  });
  const unsigned = { method: "POST", host: gateway.host, path: "/feed", query: { ticket: [""] } };
  const { method, path, headers } = signWithApigSdk(unsigned, WEB_CLIENT);
  const answer = await fetch(`${gateway.url}${path}`, { method, headers });
  expect(answer.status).toBe(201);
  const { ticket } = (await answer.json()) as Ticket;
  const stream = openStream(gateway.port, {
    path: `/feed?ticket=${ticket}`,
    headers: { "X-App-Id": "root" },
  });
  expect((await stream.opened()).status).toBe(200);
  expect((await backend.nextRequest()).fieldLines("x-app-id")).toEqual(["shop"]);
  stream.leave();
  expect(await gateway.requestLine(1)).toMatchObject({ app: "shop", endReason: "client_gone" });
  // The same signature is not valid for the stream itself.
  expect((await fetch(`${gateway.url}/feed?ticket=`, { headers })).status).toBe(401);
});

test("a ticket opens a WebSocket, which cannot send header fields either", async () => {
  const backend = await startBackend((request) => request.send(switching()));
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  const ticket = await ticketFor(gateway, await issuer.token());
  const open = async () =>
    (
      await rawRequest(gateway.port, handshake(`/feed/a?ticket=${ticket}`, { Host: gateway.host }), {
        until: "\r\n\r\n",
      })
    ).status;
  expect(await open()).toBe(101);
  expect((await backend.nextRequest()).target).toBe("/feed/a");
  expect(await open()).toBe(401);
});
