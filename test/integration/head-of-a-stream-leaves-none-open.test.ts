import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

test("HEAD gets the head of the stream and leaves no backend request open", async () => {
  const backend = await startBackend((request) =>
    request.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"),
  );
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { method: "HEAD", path: "/stream" });
  expect((await client.opened()).status).toBe(200);
  expect(client.field("x-accel-buffering")).toBe("no");
  expect(client.field("content-type")).toBe("text/event-stream");
  await gateway.requestLine();
  expect(client.body.length).toBe(0);
  expect(backend.requests.map(({ method }) => method)).toEqual(["HEAD"]);
});

test("a backend that answers HEAD with a stream is disconnected", async () => {
  const backend = await startBackend((request) => {
    request.openStream();
    request.emit("data: 1\n\n");
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { method: "HEAD", path: "/stream" });
  await client.opened();
  await gateway.requestLine();
  await eventually(() => backend.openConnections === 0, "the connection's close");
  expect(client.body.length).toBe(0);
});

test("HEAD of an ordinary resource keeps its Content-Length, and the connection stays open", async () => {
  const backend = await startBackend((request) =>
    request.send('HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: "x"\r\n\r\n'),
  );
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { method: "HEAD" });
  await client.opened();
  expect(client.field("content-length")).toBe("12345");
  expect(client.field("etag")).toBe('"x"');
  expect(client.socket.readyState).toBe("open");
});
