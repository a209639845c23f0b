import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";

const TIMES = 50;

// Each ignored upgrade attaches the parser to the connection again; its listeners must be removed again.
test("50 requests with an h2c upgrade on one connection are served, and no listener is left on it", async () => {
  const warnings: Error[] = [];
  const collect = (warning: Error) => warnings.push(warning);
  process.on("warning", collect);
  onTestFinished(() => void process.removeListener("warning", collect));
  const backend = await startBackend((request) => request.respond(200, {}, `answer ${request.target}`));
  const gateway = await startGatewayTo(backend.url);
  const socket = connect(gateway.port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString();
  });
  for (let n = 0; n < TIMES; n++) {
    const fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk";
    socket.write(`GET /${n} HTTP/1.1\r\nHost: ${gateway.host}\r\n${fields}\r\n\r\n`);
    await eventually(() => text.includes(`answer /${n}`), `answer ${n}`);
  }
  await eventually(() => gateway.requestLines().length === TIMES, "every log line");
  expect(backend.requests.some((request) => request.field("upgrade") !== undefined)).toBe(false);
  expect(warnings).toEqual([]);
});
