import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

const APP = "https://app.example.com";
const CONNECTIONS = 4;
const BATCHES = 250;
const PIPELINED = 10;

const preflight = (...fields: readonly string[]) =>
  `${["OPTIONS / HTTP/1.1", "Host: a", "Access-Control-Request-Method: GET", ...fields].join("\r\n")}\r\n\r\n`;

test("10,000 preflights open no backend connection, use no limit, and do not disturb a stream", async () => {
  const backend = await startBackend();
  const limits = { streams: 1, rate: { requests: 1, per: "1d" } };
  const gateway = await startGatewayTo(backend.url, { cors: { allowOrigins: [APP] }, limits });
  const stream = openStream(gateway.port);
  const request = await backend.nextRequest();
  request.openStream();
  await stream.opened();

  let sent = 0;
  const timer = setInterval(() => request.emit(`data: ${sent++}\n\n`), 10);
  const flood = async () => {
    const client = await openRaw(gateway.port);
    const bytes = preflight(`Origin: ${APP}`).repeat(PIPELINED);
    for (let batch = 1; batch <= BATCHES; batch += 1) {
      const before = client.socket.bytesRead;
      client.send(bytes);
      const whole = () => client.socket.bytesRead - before > 0 && client.text.endsWith("\r\n\r\n");
      await eventually(whole, "the answers", { everyMs: 0 });
      client.arrivals.length = 0;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, flood)).finally(() => clearInterval(timer));
  await eventually(
    () => gateway.requestLines().length === CONNECTIONS * BATCHES * PIPELINED,
    "10,000 answered preflights",
  );
  await stream.received(`data: ${sent - 1}\n\n`);
  const numbers = [...stream.text.matchAll(/^data: (\d+)$/gm)].map(([, n]) => Number(n));
  expect(numbers).toEqual(Array.from({ length: sent }, (_, n) => n));
  expect(stream.end).toBeUndefined();
  expect(backend.requests).toHaveLength(1);
  expect(backend.connections).toHaveLength(1);
});

test.each([
  ["null", ["Origin: null"]],
  ["a longer name", [`Origin: ${APP}.evil.net`]],
  ["another port", [`Origin: ${APP}:444`]],
  ["another letter for the dot", ["Origin: https://appXexample.com"]],
  ["two fields", [`Origin: ${APP}`, `Origin: ${APP}`]],
  ["a list", [`Origin: ${APP}, https://evil.example`]],
  ["8 KiB", [`Origin: ${APP}${"a".repeat(8192)}`]],
])("%s gets no permission over a real connection", async (_, fields) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {
    cors: { allowOrigins: [APP], allowCredentials: true },
  });
  const granted = await rawRequest(gateway.port, preflight(`Origin: ${APP}`), { until: "\r\n\r\n" });
  expect(granted.text).toContain(`Access-Control-Allow-Origin: ${APP}\r\n`);
  const { text } = await rawRequest(gateway.port, preflight(...fields), { until: "\r\n\r\n" });
  expect(text).toMatch(/^HTTP\/1\.1 (?:204|400) /);
  expect(text).not.toMatch(/access-control-allow|evil/i);
  expect(backend.connections).toHaveLength(0);
});

test.each([
  ["a field that the route does not list", "x-evil", ["Content-Type"]],
  ["a field without a valid name", "x-evil;q=1", undefined],
  ["a field with a control character", "x-evil\x01", undefined],
  ["a long name", `x-evil${"a".repeat(200)}`, undefined],
  ["many names", Array.from({ length: 65 }, (_, at) => `x-evil-${at}`).join(","), undefined],
])("%s is not echoed over a real connection", async (_, names, allowHeaders) => {
  const gateway = await startGatewayTo("http://127.0.0.1:1", { cors: { allowOrigins: [APP], allowHeaders } });
  const asking = preflight(`Origin: ${APP}`, `Access-Control-Request-Headers: ${names}`);
  const { text } = await rawRequest(gateway.port, asking, { until: "\r\n\r\n" });
  expect(text).toMatch(/^HTTP\/1\.1 (?:204|400) /);
  expect(text).not.toMatch(/evil|access-control-max-age/i);
});
