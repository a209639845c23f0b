import { connect } from "node:net";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { startHaproxy } from "../support/haproxy.ts";

async function startProxied() {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGatewayTo(
    backend.url,
    {},
    {
      listen: { address: "127.0.0.1:0", proxyProtocol: true },
    },
  );
  return { backend, gateway };
}

test.each([
  "send-proxy",
  "send-proxy-v2",
  "send-proxy-v2-ssl-cn",
  "send-proxy-v2 proxy-v2-options unique-id,crc32c",
])("HAProxy with %s: the backend is told of its client, and events pass as they come", async (option) => {
  const { backend, gateway } = await startProxied();
  const port = await startHaproxy(`127.0.0.1:${gateway.port} ${option}`);
  // An address that is not HAProxy's own.
  const socket = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.77" });
  socket.write("GET /events HTTP/1.1\r\nHost: a.test\r\n\r\n");
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes;
  });
  const request = await eventually(
    () => backend.requests.find(({ target }) => target === "/events"),
    "the request",
  );
  expect(request?.field("x-forwarded-for")).toBe("127.0.0.77");
  request?.emit("data: one\n\n");
  await eventually(() => text.includes("data: one\n\n"), "the event");
  expect(
    (await eventually(() => gateway.log.find(({ msg }) => msg === "stream opened"), "a line"))?.["client"],
  ).toBe("127.0.0.77");
  socket.destroy();
  await request?.connection.closed;
});

test("HAProxy's health checks, without a client address, do no harm", async () => {
  const { backend, gateway } = await startProxied();
  await startHaproxy(`127.0.0.1:${gateway.port} send-proxy-v2 check inter 50ms`);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(backend.requests).toEqual([]);
  expect(gateway.log.filter(({ level }) => Number(level) >= 40)).toEqual([]);
});
