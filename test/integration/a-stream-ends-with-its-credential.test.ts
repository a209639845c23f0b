import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { epoch, startIssuer } from "../support/issuer.ts";
import { openRaw } from "../support/raw-client.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

/** A token that is valid for two to three seconds: longer than a busy machine stands still before it is used. */
const BRIEF = { expiresIn: 3 };

async function startProtected(script: (request: BackendRequest) => void, auth: Record<string, unknown> = {}) {
  const backend = await startBackend(script);
  const issuer = await startIssuer();
  const gateway = await startGatewayTo(backend.url, {
    websocket: true,
    auth: { jwt: issuer.config({ cookie: "session" }), ...auth },
  });
  return { backend, issuer, gateway };
}

const lineOf = async (gateway: GatewayFixture, path: string) =>
  eventually(() => gateway.requestLines().find((line) => line["path"] === path), `the line of ${path}`);

test("a stream ends between two events when its token expires, and the reconnect is refused", async () => {
  const { backend, issuer, gateway } = await startProtected((request) => request.openStream());
  const token = await issuer.token(BRIEF);
  const expiresAt = epoch(BRIEF.expiresIn) * 1000;
  const authorization = `Bearer ${token}`;
  const stream = openStream(gateway.port, { path: "/feed", headers: { ...EVENT_SOURCE, authorization } });
  const request = await backend.nextRequest();
  request.emit("data: one\n\n");
  await stream.received("data: one\n\n");

  expect(await stream.ended()).toBe("clean");
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt - 1_000);
  // It must not take the five seconds that an event may take.
  expect(Date.now()).toBeLessThan(expiresAt + 4_000);
  expect(stream.text).toBe(":\ndata: one\n\n");
  expect(await lineOf(gateway, "/feed")).toMatchObject({ status: 200, endReason: "auth_expired" });
  await request.connection.closed;
  expect((await fetch(`${gateway.url}/feed`, { headers: { authorization } })).status).toBe(401);
});

test("on a shared stream, only the client whose token expires is ended", async () => {
  const backend = await startBackend((request) => request.openStream());
  const issuer = await startIssuer();
  const gateway = await startGatewayTo(backend.url, {
    auth: { jwt: issuer.config() },
    shared: { by: ["path"] },
  });
  const listen = async (expiresIn: number) =>
    openStream(gateway.port, {
      path: "/feed",
      headers: { ...EVENT_SOURCE, authorization: `Bearer ${await issuer.token({ expiresIn })}` },
    });
  const brief = await listen(BRIEF.expiresIn);
  const long = await listen(60);
  const request = await backend.nextRequest();
  await long.opened();
  expect(await brief.ended()).toBe("clean");
  expect(await lineOf(gateway, "/feed")).toMatchObject({ status: 200, endReason: "auth_expired" });
  request.emit("data: one\n\n");
  await long.received("data: one\n\n");
  expect(long.end).toBeUndefined();
  expect(backend.requests).toHaveLength(1);
});

test("an event under way at that moment is delivered whole before the end", async () => {
  const { backend, issuer, gateway } = await startProtected((request) => request.openStream());
  const token = await issuer.token(BRIEF);
  const expiresAt = epoch(BRIEF.expiresIn) * 1000;
  const stream = openStream(gateway.port, { headers: { ...EVENT_SOURCE, authorization: `Bearer ${token}` } });
  const request = await backend.nextRequest();
  request.emit("data: half");
  await stream.received("data: half");
  await eventually(() => Date.now() > expiresAt + 200, "the expiry");
  expect(stream.end).toBeUndefined();
  request.emit(" whole\n\ndata: too late\n\n");
  expect(await stream.ended()).toBe("clean");
  expect(stream.text).toBe(":\ndata: half whole\n\n");
});

test("an event that never ends outlives the credential by at most five seconds", async () => {
  const { backend, issuer, gateway } = await startProtected((request) => request.openStream());
  const token = await issuer.token({ expiresIn: 2 });
  const stream = openStream(gateway.port, {
    path: "/feed",
    headers: { ...EVENT_SOURCE, authorization: `Bearer ${token}` },
  });
  (await backend.nextRequest()).emit("data: half");
  // Aborted, not ended: the received bytes are not a whole event.
  expect(await stream.ended(12_000)).toBe("truncated");
  expect(await lineOf(gateway, "/feed")).toMatchObject({ endReason: "auth_expired" });
});

test("the stream of a ticket ends with the token for which the ticket was issued, not with the ticket", async () => {
  const { issuer, gateway } = await startProtected((request) => request.openStream(), {
    // Longer than a busy machine stalls before its use.
    ticket: { ttl: "2s" },
  });
  const open = async (expiresIn: number, path: string) => {
    const authorization = `Bearer ${await issuer.token({ expiresIn })}`;
    const answer = await fetch(`${gateway.url}${path}?ticket`, {
      method: "POST",
      headers: { authorization },
    });
    const { ticket } = (await answer.json()) as { ticket: string };
    return openStream(gateway.port, { path: `${path}?ticket=${ticket}`, headers: EVENT_SOURCE });
  };
  const long = await open(300, "/long");
  const brief = await open(4, "/brief");
  expect(await brief.ended()).toBe("clean");
  expect(long.end).toBeUndefined();
  expect(
    await eventually(
      () => gateway.requestLines().find((line) => line["path"] === "/brief" && line["method"] === "GET"),
      "the stream's log line",
    ),
  ).toMatchObject({ endReason: "auth_expired" });
});

test("a WebSocket is aborted when its token expires", async () => {
  const { issuer, gateway } = await startProtected((request) => request.send(switching()));
  const Authorization = `Bearer ${await issuer.token(BRIEF)}`;
  const client = await openRaw(gateway.port);
  client.send(handshake("/socket", { Host: gateway.host, Authorization }));
  await client.received("101 Switching");
  await client.ended();
  expect(await lineOf(gateway, "/socket")).toMatchObject({ status: 101, endReason: "auth_expired" });
});

test("a stream without an expiry is not ended", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGatewayTo(backend.url);
  const stream = openStream(gateway.port);
  const request = await backend.nextRequest();
  request.emit("data: one\n\n");
  await stream.received("data: one");
  request.endStream();
  expect(await stream.ended()).toBe("clean");
  expect(await gateway.requestLine()).toMatchObject({ endReason: "backend_ended" });
});
