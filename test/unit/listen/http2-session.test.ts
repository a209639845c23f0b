import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { serverLimits } from "../../../src/config/server-limits-schema.ts";
import { Http2Session } from "../../../src/listen/http2-session.ts";
import { eventually } from "../../support/eventually.ts";
import { FRAME, frame, PREFACE, uint32 } from "../../support/http2-frames.ts";

test("a session that Node has destroyed ends its connection, although the client takes no more bytes", async () => {
  // A TLS connection whose client has left in the middle of a write: Node waits for the end of that.
  const socket = new Duplex({ read() {}, write() {} });
  const faults: unknown[] = [];
  const session = new Http2Session(
    socket as TLSSocket,
    {
      limits: serverLimits.parse({}),
      bounds: { maxConcurrentStreams: 10, maxResets: 10, pingInterval: 50 },
      keepAliveMs: 60_000,
      answer: () => ({ isWhole: true }),
      tooManyResets() {},
      onFault: (error) => faults.push(error),
    },
    () => {},
  );
  expect(session).toBeDefined();
  // GOAWAY with INTERNAL_ERROR, on which Node destroys the session.
  const goaway = frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(0), uint32(2)]));
  socket.push(Buffer.concat([Buffer.from(PREFACE), frame(FRAME.settings, 0, 0), goaway]));
  await eventually(() => socket.closed, "the end of the connection");
  expect(faults).toEqual([]);
});
