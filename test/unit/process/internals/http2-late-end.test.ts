import { once } from "node:events";
import http2, { type ServerHttp2Session } from "node:http2";
import { type AddressInfo, connect } from "node:net";
import { expect, test } from "vitest";
import { endAfterReading } from "../../../../src/process/internals/http2-late-end.ts";
import { afterTest } from "../../../support/after-test.ts";
import { eventually } from "../../../support/eventually.ts";
import { END_HEADERS, FRAME, frame, get, hpack, PREFACE, uint32 } from "../../../support/http2-frames.ts";

const GOAWAY = frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(0), uint32(2)]));
const post = (stream: number) =>
  frame(FRAME.headers, END_HEADERS, stream, hpack([[":method", "POST"], ...get().slice(1)]));
const data = (stream: number) => frame(FRAME.data, 0, stream, Buffer.from("x"));

/** Sends frames in one packet to a server; returns the streams that it opened, and its faults. */
async function opened(onSession: (session: ServerHttp2Session) => void, ...frames: readonly Buffer[]) {
  const server = http2.createServer();
  afterTest(() => void server.close());
  const faults: unknown[] = [];
  const streams: number[] = [];
  let isClosed = false;
  server.on("session", (session) => {
    endAfterReading(session, (error) => faults.push(error));
    onSession(session);
    session.on("error", () => {});
    session.on("close", () => {
      isClosed = true;
    });
    session.on("stream", (stream) => {
      stream.on("error", () => {});
      streams.push(stream.id ?? 0);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  afterTest(() => void client.destroy());
  client.on("error", () => {});
  client.write(Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0), ...frames]));
  client.resume();
  await eventually(() => isClosed, "the end of the session");
  return { streams, faults };
}

test("a session that Node destroys at a frame still takes the streams in the same packet", async () => {
  const { streams, faults } = await opened(() => {}, post(1), GOAWAY, post(3), data(3));
  expect(streams).toEqual([1, 3]);
  expect(faults).toEqual([]);
});

test("a session that a listener destroys still takes the streams in the same packet", async () => {
  const destroy = (session: ServerHttp2Session) => session.once("stream", () => session.destroy());
  const { streams, faults } = await opened(destroy, post(1), data(1), post(3), data(3));
  expect(streams).toEqual([1, 3]);
  expect(faults).toEqual([]);
});
