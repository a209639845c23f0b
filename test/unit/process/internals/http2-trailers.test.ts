import { once } from "node:events";
import http2, { type Http2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { onceTrailers } from "../../../../src/process/internals/http2-trailers.ts";
import { afterTest } from "../../../support/after-test.ts";

test("the event trailers has the raw fields as its third argument", async () => {
  const server = http2.createServer();
  afterTest(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const trailers = new Promise<readonly string[]>((resolve) => {
    server.on("stream", (stream: Http2Stream) => {
      stream.resume();
      onceTrailers(stream, resolve);
    });
  });
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on("error", () => {});
  afterTest(() => void session.destroy());
  const stream = session.request({ ":method": "POST" }, { waitForTrailers: true });
  stream.on("error", () => {});
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": ["1", "2"], "x-a": "3" }));
  stream.end("body");
  expect(await trailers).toEqual(["x-sum", "1", "x-sum", "2", "x-a", "3"]);
});
