import { connect, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { startFloodBackend } from "../support/flood-backend.ts";
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  get,
  hpack,
  PREFACE,
  uint32,
} from "../support/http2-frames.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";

const CLIENTS = 20;

/** Collects all garbage twice a second: the collection destroys the memory of ended connections. */
const COLLECTS = `
  import { setFlagsFromString } from "node:v8";
  import { runInNewContext } from "node:vm";
  setFlagsFromString("--expose-gc");
  setInterval(runInNewContext("gc"), 500).unref();
`;

const WINDOW_BYTES = 0x7fff0000;
/** SETTINGS_INITIAL_WINDOW_SIZE. */
const WIDE_STREAMS = frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), uint32(WINDOW_BYTES)]));
const WIDE_CONNECTION = frame(FRAME.windowUpdate, 0, 0, uint32(WINDOW_BYTES));
const POST = frame(FRAME.headers, END_HEADERS, 1, hpack([[":method", "POST"], ...get().slice(1)]));
/** The first of several frames of a trailer section. */
const CUT_TRAILERS = frame(FRAME.headers, END_STREAM, 1, hpack([["x-sum", "1".repeat(200)]]));

/** Sends a request with a part of its trailers, and reads nothing of the response. */
function openStalled(port: number): TLSSocket {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] });
  afterTest(() => void socket.destroy());
  socket.on("error", () => {});
  socket.once("secureConnect", () => {
    socket.write(Buffer.concat([Buffer.from(PREFACE), WIDE_STREAMS, WIDE_CONNECTION, POST, CUT_TRAILERS]));
  });
  return socket;
}

test("clients that cut off their trailers and read no response do not end the process", async () => {
  const backend = await startFloodBackend("application/octet-stream");
  const { cert, key } = await certificateFiles();
  const cwd = directoryOf({
    "collects.mjs": COLLECTS,
    "config/sluice.yaml": [
      `listen: { address: "127.0.0.1:0", tls: { cert: ${cert}, key: ${key} }, http2: { pingInterval: 500ms } }`,
      "admin: false",
    ].join("\n"),
    "config/routes/main.yaml": `match: { path: "/*" }\nupstream: http://127.0.0.1:${backend.port}\n`,
  });
  const sluice = startSluice(["serve"], { cwd, env: { NODE_OPTIONS: "--import ./collects.mjs" } });
  let isOver = false;
  void sluice.ended.then(() => {
    isOver = true;
  });
  const port = await sluice.port();
  for (let round = 0; round < 3; round++) {
    const clients = Array.from({ length: CLIENTS }, () => openStalled(port));
    const requestsBefore = round * CLIENTS;
    // The gateway ends their connections, because they answer no ping.
    await eventually(
      () =>
        isOver || sluice.lines().filter(({ msg }) => msg === "request").length >= requestsBefore + CLIENTS,
      "the end of all requests",
      { timeoutMs: 20_000 },
    );
    for (const client of clients) client.destroy();
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
  expect(isOver).toBe(false);
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 0, stderr: "" });
}, 60_000);
