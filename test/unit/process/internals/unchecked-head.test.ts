import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { writeUncheckedHead } from "../../../../src/process/internals/unchecked-head.ts";
import { afterTest } from "../../../support/after-test.ts";
import { rawRequest } from "../../../support/raw-client.ts";

/** Returns the response of a server that writes its head with these fields, and a body; or the error of that. */
async function responseWith(fields: readonly string[]): Promise<string> {
  const server = http.createServer((_request, response) => {
    try {
      writeUncheckedHead(response, 699, "Odd", fields);
      response.end(Buffer.from("body"));
    } catch (error) {
      response.writeHead(500, { Connection: "close" });
      response.end(Buffer.from(String(error)));
    }
  });
  afterTest(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const { text } = await rawRequest(port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  return text;
}

test("Node renders the head into _header, where a value with control characters can be put in", async () => {
  const text = await responseWith([
    "X-A",
    "a\x0bb\x7f$&",
    "X-B",
    "\xe9",
    "X-A",
    "\x0c",
    "Content-Length",
    "4",
  ]);
  const head = "HTTP/1.1 699 Odd\r\nX-A: a\x0bb\x7f$&\r\nX-B: \xe9\r\nX-A: \x0c\r\nContent-Length: 4\r\n";
  expect(text.slice(0, head.length)).toBe(head);
  expect(text).toMatch(/\r\n\r\nbody$/);
});

test("a value that could end its line early is refused", async () => {
  for (const value of ["a\r\nB: c", "a\nb", "a\rb", "a\0b", "\u010a"]) {
    expect(await responseWith(["X-A", value])).toContain("TypeError: invalid character");
  }
});
