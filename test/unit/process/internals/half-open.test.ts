import { once } from "node:events";
import http, { type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { allowHalfOpen, dropFromHead } from "../../../../src/process/internals/half-open.ts";
import { afterTest } from "../../../support/after-test.ts";
import { eventually } from "../../../support/eventually.ts";
import { openRaw } from "../../../support/raw-client.ts";

async function startServer(onRequest: (response: ServerResponse) => void) {
  const server = http.createServer((_request, response) => onRequest(response));
  afterTest(() => server.close().closeAllConnections());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { server, client: await openRaw((server.address() as AddressInfo).port) };
}

test("a server answers a client that has ended its half, and then closes the connection", async () => {
  let response: ServerResponse | undefined;
  const { server, client } = await startServer((begun) => {
    response = begun;
  });
  allowHalfOpen(server);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.halfClose();
  const isEnded = () => response?.req.socket.readableEnded === true;
  await eventually(isEnded, "the client's end");
  response?.end("late");
  expect(await client.ended()).toBe("end");
  expect(client.text).toMatch(/\r\n\r\nlate$/);
});

test("control: without it the server closes the connection at the client's end", async () => {
  const { client } = await startServer(() => {});
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client.halfClose();
  await client.ended();
  expect(client.text).toBe("");
});

test.each(["flushHeaders", "write", "end"] as const)(
  "the first characters of a head are dropped: %s",
  async (how) => {
    const { client } = await startServer((response) => {
      response.writeHead(200, "Fine", ["Content-Length", "4"]);
      dropFromHead(response, "HTTP".length);
      if (how === "flushHeaders") response.flushHeaders();
      if (how === "write") response.write(Buffer.from("bo"));
      response.end(Buffer.from(how === "write" ? "dy" : "body"));
    });
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.received("body");
    expect(client.text).toMatch(/^\/1\.1 200 Fine\r\nContent-Length: 4\r\n/);
  },
);
