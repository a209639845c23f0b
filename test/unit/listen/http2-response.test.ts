import { once } from "node:events";
import { connect, constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { takeSendBuffer } from "../../../src/http/send-buffers.ts";
import { Http2Response } from "../../../src/listen/http2-response.ts";
import { afterTest } from "../../support/after-test.ts";
import { eventually } from "../../support/eventually.ts";

const LENGTH = 40 * 1024;

/** Sends a body of `LENGTH` bytes to a client with this window, which then resets the stream; returns the memory it was sent from. */
async function writeAndReset(initialWindowSize: number): Promise<ArrayBufferLike | undefined> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize } });
  afterTest(() => {
    client.destroy();
    server.close();
  });
  const request = client.request();
  const [stream] = (await once(server, "stream")) as [ServerHttp2Stream];
  const written: Buffer[] = [];
  const write = stream.write.bind(stream);
  stream.write = ((chunk: Buffer, callback: () => void) => {
    written.push(chunk);
    return write(chunk, callback);
  }) as typeof stream.write;
  const response = new Http2Response(stream, undefined);
  response.writeHead(200, undefined, []);
  response.write(Buffer.alloc(LENGTH));
  request.resume();
  if (initialWindowSize > LENGTH) await eventually(() => expect(response.takenBytes).toBe(LENGTH));
  request.close(constants.NGHTTP2_CANCEL);
  await eventually(() => expect(stream.closed && stream.writableLength === 0).toBe(true));
  return written[0]?.buffer;
}

test("the buffer of a write that a reset has cut off is not used again: frames may still point into it", async () => {
  const memory = await writeAndReset(10_000);
  expect(memory).toBeDefined();
  expect(takeSendBuffer(LENGTH).buffer).not.toBe(memory);
});

test("the buffer of a write that was sent is used again", async () => {
  const memory = await writeAndReset(100_000);
  expect(takeSendBuffer(LENGTH).buffer).toBe(memory);
});
