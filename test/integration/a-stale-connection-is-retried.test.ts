import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

/** A backend that answers the first request of each connection and closes the connection at the second. */
const startForgetful = (how: "reset" | "halfClose") =>
  startBackend((request) => {
    if (request.connection.requests.length === 1) request.respond(200, {}, "ok");
    else request[how]();
  });

for (const how of ["reset", "halfClose"] as const) {
  test(`a GET does not fail when its reused connection closes (${how})`, async () => {
    const backend = await startForgetful(how);
    const gateway = await startGatewayTo(backend.url);
    for (let n = 0; n < 20; n++) {
      const client = openStream(gateway.port, { path: `/${n}` });
      expect(await client.ended()).toBe("clean");
      expect([client.head?.status, client.text]).toEqual([200, "ok"]);
    }
    // The connections were really reused; otherwise this would prove nothing.
    expect(backend.connections.some(({ requests }) => requests.length > 1)).toBe(true);
  });

  test(`a POST is not sent twice (${how}), because it may have had an effect`, async () => {
    const backend = await startForgetful(how);
    const gateway = await startGatewayTo(backend.url);
    await openStream(gateway.port).ended();
    const client = openStream(gateway.port, { method: "POST", path: "/pay", body: "{}" });
    expect(await client.ended()).toBe("clean");
    expect(client.head?.status).toBe(502);
    expect(backend.requests.filter(({ target }) => target === "/pay")).toHaveLength(1);
  });
}

test("a GET on a fresh connection is not repeated", async () => {
  const backend = await startBackend((request) => request.reset());
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  await client.ended();
  expect(client.head?.status).toBe(502);
  expect(backend.requests).toHaveLength(1);
});

test("an idle connection that its backend closed is not reused", async () => {
  const backend = await startBackend((request) => {
    request.respond(200, {}, "ok");
    setTimeout(() => request.halfClose(), 20);
  });
  const gateway = await startGatewayTo(backend.url);
  for (let n = 0; n < 5; n++) {
    const client = openStream(gateway.port, { method: "POST", body: "{}" });
    await client.ended();
    expect(client.head?.status).toBe(200);
    await backend.connections.at(-1)?.closed;
  }
});
