import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";

// Every chunk after the first refusal once caused another refusal, log line and listener.
test("a head of 4 MiB leaves one log line and no warning of too many listeners", async () => {
  const warnings: Error[] = [];
  const collect = (warning: Error) => warnings.push(warning);
  process.on("warning", collect);
  onTestFinished(() => void process.removeListener("warning", collect));
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const socket = connect(gateway.port, "127.0.0.1");
  let isClosed = false;
  socket
    .on("error", () => undefined)
    .once("close", () => {
      isClosed = true;
    });
  socket.resume();
  socket.write("GET / HTTP/1.1\r\n");
  const line = `X-A: ${"a".repeat(8_000)}\r\n`;
  for (let sent = 0; sent < 512; sent++) socket.write(line);
  await eventually(() => isClosed, "the end of the connection");
  expect(await gateway.requestLine()).toMatchObject({ status: 431 });
  expect(gateway.requestLines()).toHaveLength(1);
  expect(warnings).toEqual([]);
});
