import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway, startGatewayTo } from "../support/gateway.ts";
import { PROXY_V2_LOCAL, PROXY_V2_UNIX, proxyV1 } from "../support/proxy-header.ts";
import { rawRequest } from "../support/raw-client.ts";
import { sendAndReset } from "../support/resetting-clients.ts";
import { serveWorkers } from "../support/workers.ts";

// After a reset the kernel no longer reports the peer's address. Such requests matched no access list, and all of
// them together counted as one client of every rate and limit.

const DENIED = { access: { deny: ["127.0.0.0/8"] }, stream: { onClientGone: "drain" } };
const GET = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
const POST = "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";

const answering = () => startBackend((request) => request.respond(200, {}, "ok"));

/** Sends a request; its response means that all earlier connections are handled. */
async function honestStatus(gateway: Pick<GatewayFixture, "port">, before = ""): Promise<number | undefined> {
  const bytes = `${before}GET /honest HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`;
  return (await rawRequest(gateway.port, bytes)).status;
}

const unknownClients = ({ log }: GatewayFixture) => log.filter(({ client }) => client === "unknown");

test.each([
  ["GET", GET],
  ["POST", POST],
  ["two in one packet", GET + GET],
])("a denied client that resets after its request reaches no backend: %s", async (_, bytes) => {
  const backend = await answering();
  const gateway = await startGatewayTo(backend.url, DENIED);
  sendAndReset(gateway.port, bytes);
  expect(await honestStatus(gateway)).toBe(403);
  expect(backend.requests).toEqual([]);
  expect(unknownClients(gateway)).toEqual([]);
});

test("without a peer address no forwarded field is trusted and no rate counts the request", async () => {
  const backend = await answering();
  const route = { limits: { rate: { requests: 5, per: "1h", by: "ip" } }, stream: { onClientGone: "drain" } };
  const gateway = await startGatewayTo(backend.url, route, { trustedProxies: ["127.0.0.1"] });
  sendAndReset(gateway.port, GET.replace("\r\n\r\n", "\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n"));
  expect(await honestStatus(gateway)).toBe(200);
  expect(backend.requests.map(({ target }) => target)).toEqual(["/honest"]);
  expect(unknownClients(gateway)).toEqual([]);
});

test.each([
  ["of the proxy itself, version 1", "PROXY UNKNOWN\r\n"],
  ["of the proxy itself, version 2", PROXY_V2_LOCAL.toString("latin1")],
  ["of a client", proxyV1("127.0.0.9")],
])("the same applies with a PROXY protocol header %s", async (_, header) => {
  const backend = await answering();
  const listen = { address: "127.0.0.1:0", proxyProtocol: true };
  const gateway = await startGatewayTo(backend.url, DENIED, { listen });
  sendAndReset(gateway.port, header + GET);
  expect(await honestStatus(gateway, header)).toBe(403);
  expect(backend.requests).toEqual([]);
  expect(unknownClients(gateway)).toEqual([]);
});

test("a client without an address in its PROXY protocol header matches no access list and is refused by each", async () => {
  const backend = await answering();
  const gateway = await startGateway({
    routes: {
      open: { match: { path: "/open" }, upstream: backend.url },
      deny: { match: { path: "/deny" }, upstream: backend.url, access: { deny: ["10.0.0.0/8"] } },
      allow: { match: { path: "/allow" }, upstream: backend.url, access: { allow: ["0.0.0.0/0"] } },
    },
    server: { listen: { address: "127.0.0.1:0", proxyProtocol: true } },
  });
  const header = PROXY_V2_UNIX.toString("latin1");
  const statusOf = async (path: string) =>
    (await rawRequest(gateway.port, `${header}GET ${path} HTTP/1.0\r\n\r\n`)).status;
  expect([await statusOf("/open"), await statusOf("/deny"), await statusOf("/allow")]).toEqual([
    200, 403, 403,
  ]);
  expect(backend.requests.map(({ target }) => target)).toEqual(["/open"]);
});

test("a client of a unix socket, which has no address, is admitted unless the route has an access list", async () => {
  const backend = await answering();
  const path = join(mkdtempSync(join(tmpdir(), "sluice-unix-")), "s");
  await startGatewayTo(backend.url, { access: { deny: ["10.0.0.0/8"] } }, { listen: `unix:${path}` });
  const response = await rawRequest(path, "GET /x HTTP/1.0\r\n\r\n");
  expect(response.status).toBe(200);
});

test("workers, which get their connections from the primary, do the same", async () => {
  const backend = await answering();
  const served = await serveWorkers({
    routes: { main: { match: { path: "/*" }, upstream: backend.url, ...DENIED } },
  });
  sendAndReset(served.port, GET, 300);
  for (let n = 0; n < 4; n++) expect(await honestStatus(served)).toBe(403);
  await eventually(() => served.lines("request").length >= 4, "the lines of the honest requests");
  expect(backend.requests).toEqual([]);
  expect(served.lines("request").filter(({ client }) => client === "unknown")).toEqual([]);
});
