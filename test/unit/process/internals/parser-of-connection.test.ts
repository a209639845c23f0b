import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { takeConnectionListener } from "../../../../src/process/internals/connection-listener.ts";
import { ParserOfConnection } from "../../../../src/process/internals/parser-of-connection.ts";
import { afterTest } from "../../../support/after-test.ts";
import { openRaw } from "../../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Starts a server whose connections are parsed by a ParserOfConnection; `onError` gets each parse error. */
async function listen(
  onError: (parser: ParserOfConnection, socket: Duplex, rawPacket: Buffer) => void,
  options: http.ServerOptions = {},
) {
  const server = http.createServer(options, (_request, response) => {
    setTimeout(() => response.end("answered"), 1_500);
  });
  const parser = new ParserOfConnection(takeConnectionListener(server));
  server.on("connection", (socket) => parser.parse(socket));
  server.on("clientError", (error: Error & { rawPacket?: Buffer }, socket) =>
    onError(parser, socket, error.rawPacket ?? Buffer.alloc(0)),
  );
  afterTest(() => server.close().closeAllConnections());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return openRaw((server.address() as AddressInfo).port);
}

test("a connection is taken back after a parse error, with all its timers, and parsed again", async () => {
  const errors: string[] = [];
  const client = await listen(
    (parser, socket, rawPacket) => {
      errors.push(rawPacket.toString().slice(0, 3));
      parser.takeBack(socket);
      socket.unshift(GET);
      parser.parse(socket);
      socket.resume();
    },
    { headersTimeout: 500, requestTimeout: 0, connectionsCheckingInterval: 100 },
  );
  for (let n = 1; n <= 2; n++) {
    client.send(GET.replace("GET", "XYZ"));
    await client.received("answered");
    client.arrivals.length = 0;
    expect(errors).toEqual(Array.from({ length: n }, () => "XYZ"));
  }
  expect(client.ending).toBe("open");
});

test.each([
  ["one that is whole", ["XYZ / HTTP/1.1\r\n"], true],
  ["one behind empty lines", ["\r\n\r\nXYZ / HTTP/1.1\r\n"], true],
  ["one in two reads", ["GE", "TX / HTTP/1.1\r\n"], false],
  ["one behind another in the same read", [`${GET}XYZ / HTTP/1.1\r\n`], false],
])(
  "of the request that fails it is known whether it alone began in the last read: %s",
  async (_name, parts, expected) => {
    let seen: boolean | undefined;
    const client = await listen((parser, socket) => {
      seen ??= parser.hasBegunOne(socket);
      socket.destroy();
    });
    for (const part of parts) {
      client.send(part);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await client.ended();
    expect(seen).toBe(expected);
  },
);
