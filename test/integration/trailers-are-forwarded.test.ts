import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

test("trailers of an ordinary response are announced and forwarded, except fields that are not allowed as trailers", async () => {
  const backend = await startBackend((request) => {
    request.openStream({ "Content-Type": "application/grpc", Trailer: "Grpc-Status, Set-Cookie, X-Sum" });
    request.emit("body");
    request.endStream({
      "Grpc-Status": "0",
      "X-Sum": "abc",
      "Set-Cookie": "late=1",
      "Access-Control-Allow-Origin": "*",
      "X-Accel-Redirect": "/secret",
      "Content-Encoding": "gzip",
    });
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { headers: { TE: "trailers" } });
  expect(await client.ended()).toBe("clean");
  expect(client.text).toBe("body");
  expect(client.field("trailer")).toMatch(/Grpc-Status/i);
  expect(client.field("trailer")).not.toMatch(/Set-Cookie/i);
  const names = client.trailers.split("\r\n").map((line) => line.split(":")[0]);
  expect(names.filter((name) => name !== "").sort()).toEqual(["Grpc-Status", "X-Sum"]);
  expect(backend.requests[0]?.field("te")).toBe("trailers");
  expect(backend.requests[0]?.fieldLines("connection")).toEqual(["keep-alive, TE"]);
});

test("trailers of an event stream are announced and forwarded", async () => {
  const backend = await startBackend((request) => {
    request.openStream({ Trailer: "X-Sum" });
    request.emit("data: 1\n\n");
    request.endStream({ "X-Sum": "abc", "Set-Cookie": "late=1" });
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { headers: { TE: "trailers" } });
  expect(await client.ended()).toBe("clean");
  expect(client.text).toBe(":\ndata: 1\n\n");
  expect(client.field("trailer")).toBe("X-Sum");
  expect(client.trailers.trim()).toBe("X-Sum: abc");
});

test("an HTTP/1.0 client gets the same event stream without its trailers", async () => {
  const backend = await startBackend((request) => {
    request.openStream({ Trailer: "X-Sum" });
    request.emit("data: 1\n\n");
    request.endStream({ "X-Sum": "abc" });
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { version: "1.0" });
  expect(await client.ended()).toBe("closed");
  expect(client.text).toBe(":\ndata: 1\n\n");
  expect(client.field("trailer")).toBeUndefined();
});

test("trailers of a request never become header fields, and harmless ones arrive as trailers", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.respond(200, {}, "ok"));
  });
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, {
    method: "POST",
    headers: { "Transfer-Encoding": "chunked", Trailer: "X-Sum" },
  });
  const trailers = [
    "X-Sum: abc",
    "Host: evil",
    "Authorization: Basic x",
    "X-Forwarded-For: 1.2.3.4",
    "Origin: x",
  ];
  client.socket.write(`4\r\nbody\r\n0\r\n${trailers.join("\r\n")}\r\n\r\n`);
  expect(await client.ended()).toBe("clean");
  const [request] = backend.requests;
  expect(request?.body.toString()).toBe("body");
  expect(request?.fieldLines("host")).toEqual([gateway.host]);
  expect(request?.field("authorization")).toBeUndefined();
  expect(request?.field("x-forwarded-for")).toBe("127.0.0.1");
  expect(request?.trailers.map(([name]) => name.toLowerCase())).toEqual(["x-sum"]);
});

test.each([
  ["HEAD", "200", "1.1"],
  ["HEAD", "304", "1.1"],
  ["GET", "304", "1.1"],
  ["GET", "204", "1.1"],
  ["GET", "204", "1.0"],
  ["POST", "204", "1.1"],
  ["POST", "304", "1.1"],
])("a response without a body announces no trailers: %s, %s, HTTP/%s", async (method, status, version) => {
  const backend = await startBackend((request) => {
    request.send(`HTTP/1.1 ${status} X\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n`);
  });
  const gateway = await startGatewayTo(backend.url);
  const length = method === "POST" ? "Content-Length: 0\r\n" : "";
  const head = `${method} / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n${length}\r\n`;
  const answer = await rawRequest(gateway.port, head);
  expect(answer.status).toBe(Number(status));
  expect(answer.text).toMatch(/^X-A: 1\r$/m);
  expect(answer.text).not.toMatch(/^Trailer:/im);
  expect(answer.text.split("\r\n\r\n", 2)[1]).toBe("");
  expect((await gateway.requestLine())["endReason"]).toBe("completed");
});
