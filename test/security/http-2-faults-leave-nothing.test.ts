import { once } from "node:events";
import { connect } from "node:tls";
import { queryObjects } from "node:v8";
import { expect, test } from "vitest";
import { Http2Session } from "../../src/listen/http2-session.ts";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startSecureGatewayTo } from "../support/http2-client.ts";
import { FRAME, frame, PREFACE } from "../support/http2-frames.ts";

const CLIENTS = 40;
/** The last session of a long-lived object may live until the next one. */
const FEW = 4;

/** Sends bytes on a new connection, acknowledges no SETTINGS, and resolves when the gateway has ended the connection. */
async function send(port: number, ...bytes: readonly Buffer[]): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  afterTest(() => void socket.destroy());
  socket.on("error", () => {});
  const closed = once(socket, "close");
  await once(socket, "secureConnect");
  socket.resume();
  socket.write(Buffer.concat(bytes));
  await closed;
}

test.each([
  ["after the preface", [Buffer.from(PREFACE), frame(FRAME.settings, 0, 0)]],
  ["in its place", []],
])("clients that send bytes that are not HTTP/2 %s leave nothing in memory", async (_, first) => {
  const backend = await startBackend();
  // The pings end the connections.
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2: { pingInterval: "500ms" } });
  const bytes = [...first, Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")];
  await Promise.all(Array.from({ length: CLIENTS }, () => send(gateway.port, ...bytes)));
  // It collects all garbage first.
  const held = () => queryObjects(Http2Session, { format: "count" });
  await eventually(() => held() <= FEW, "the sessions to be collected", { everyMs: 200 });
  expect(backend.requests).toEqual([]);
});
