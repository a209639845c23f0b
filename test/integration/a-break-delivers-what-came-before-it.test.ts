import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";

const EVENTS = 30_000;
const STREAM = Array.from({ length: EVENTS }, (_, at) => `id: ${at + 1}\ndata: ${"x".repeat(90)}\n\n`).join(
  "",
);

/** Sends all events in one chunk and closes the connection without the last chunk. */
async function startBreakingBackend(repeats = 1) {
  const stream = STREAM.repeat(repeats);
  return startBackend((request) => {
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    request.send(`${head}${stream.length.toString(16)}\r\n${stream}\r\n`);
    request.halfClose();
  });
}

/** A client that reads nothing at first. */
interface LateClient {
  read(): void;
  readonly text: () => string;
  /** How the response ended; undefined until then. */
  readonly ending: () => "reset" | "end" | undefined;
}

function lateClient(socket: Socket, version: string): LateClient {
  const parts: Buffer[] = [];
  let ending: "reset" | "end" | undefined;
  socket.pause();
  socket.on("error", () => {
    ending ??= "reset";
  });
  socket.on("end", () => {
    ending ??= "end";
  });
  socket.on("data", (part) => parts.push(part));
  socket.pause();
  afterTest(() => void socket.destroy());
  socket.write(`GET /stream HTTP/${version}\r\nHost: a\r\n\r\n`);
  return {
    read: () => socket.resume(),
    text: () => Buffer.concat(parts).toString("latin1"),
    ending: () => ending,
  };
}

function lateHttp2Client(port: number): LateClient {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  afterTest(() => session.destroy());
  const stream = session.request({ ":path": "/stream" });
  const parts: Buffer[] = [];
  let ending: "reset" | "end" | undefined;
  stream.on("error", () => {});
  stream.on("close", () => {
    ending = stream.rstCode === 0 ? "end" : "reset";
  });
  const read = () => void stream.on("data", (part: Buffer) => parts.push(part));
  return { read, text: () => Buffer.concat(parts).toString("latin1"), ending: () => ending };
}

const overTls = (port: number) => connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
const CLIENTS: readonly [string, boolean, (port: number) => LateClient][] = [
  ["HTTP/1.1", false, (port) => lateClient(connect(port, "127.0.0.1"), "1.1")],
  ["HTTP/1.0", false, (port) => lateClient(connect(port, "127.0.0.1"), "1.0")],
  ["HTTP/1.1 over TLS", true, (port) => lateClient(overTls(port), "1.1")],
  ["HTTP/1.0 over TLS", true, (port) => lateClient(overTls(port), "1.0")],
  ["HTTP/2", true, lateHttp2Client],
];

const route = (url: string, stream = {}) => ({
  match: { path: "/stream" },
  upstream: url,
  stream: { prelude: false, ...stream },
});

test.each(CLIENTS)(
  "a client of %s that reads late gets every event, and no clean end",
  async (name, isTls, open) => {
    const backend = await startBreakingBackend();
    const tls = isTls ? { tls: await certificateFiles() } : {};
    const gateway = await startGateway({
      routes: { stream: route(backend.url) },
      server: { listen: { address: "127.0.0.1:0", ...tls } },
    });
    const client = open(gateway.port);
    await backend.nextRequest();
    // Meanwhile the gateway's buffers and the kernel's are full.
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.read();
    await eventually(() => client.ending() !== undefined, `the end for ${name}`);
    // Without the chunks' frames, which may stand inside an event.
    const body = client.text().replaceAll(/\r\n[0-9a-f]+\r\n/g, "");
    expect(body.match(/id: \d+\n/g)).toHaveLength(EVENTS);
    // HTTP/1.1 sees the end of its connection without the last chunk.
    expect(client.ending()).toBe(name.startsWith("HTTP/1.1") ? client.ending() : "reset");
    expect(client.text().endsWith("\r\n0\r\n\r\n")).toBe(false);
    expect(await gateway.requestLine()).toMatchObject({ endReason: "backend_failed", events: EVENTS });
  },
);

test.each(["1.0", "1.1"])(
  "a client of HTTP/%s that never reads is ended after sendTimeout",
  async (version) => {
    // More than the kernel's buffers hold; the gateway reads all of it before the backend aborts.
    const backend = await startBreakingBackend(10);
    const stream = { sendTimeout: "1500ms", clientBuffer: "64m" };
    const gateway = await startGateway({ routes: { stream: route(backend.url, stream) } });
    lateClient(connect(gateway.port, "127.0.0.1"), version);
    const line = await gateway.requestLine();
    expect(line).toMatchObject({ endReason: "backend_failed", events: 10 * EVENTS });
    expect(line["durationMs"]).toBeGreaterThanOrEqual(1_400);
  },
);
