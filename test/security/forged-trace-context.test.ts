import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";
import { startTraced } from "../support/traced.ts";

/** A client must not be able to add its requests to a trace of its choice, or to have each of them recorded. */

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const SAMPLED = `traceparent: 00-${TRACE}-${SPAN}-01`;

const startTo = async (server = {}, tracing = {}, route = {}) => {
  const backend = await startBackend((request) => request.respond());
  const routes = { main: { match: { path: "/*" }, upstream: backend.url, ...route } };
  const traced = await startTraced(routes, server, tracing);
  let asked = 0;
  /** Sends a request with these fields; returns its log line and what the backend got. */
  const ask = async (...fields: readonly string[]) => {
    const head = ["GET / HTTP/1.1", "Host: a", "Connection: close", ...fields];
    await rawRequest(traced.gateway.port, `${head.join("\r\n")}\r\n\r\n`);
    const line = await traced.gateway.requestLine(asked++);
    const request = await backend.nextRequest();
    return { line, parents: request.fieldLines("traceparent"), states: request.fieldLines("tracestate") };
  };
  return { ...traced, ask };
};

const PROXY = { trustedProxies: ["127.0.0.1"] };

test("a trusted proxy's context is that of the request: its trace, its state, its decision", async () => {
  const { ask, receiver } = await startTo(PROXY, { sample: 0 });
  const { line, parents, states } = await ask(SAMPLED, "tracestate: a=1", "Tracestate: b=2");
  expect(line["traceId"]).toBe(TRACE);
  const [server, attempt] = await receiver.trace(TRACE, 2);
  expect(server).toMatchObject({ parentSpanId: SPAN, traceState: "a=1,b=2" });
  expect(parents).toEqual([`00-${TRACE}-${attempt?.spanId}-01`]);
  expect(states).toEqual(["a=1,b=2"]);

  const unsampled = await ask(`traceparent: 00-${TRACE}-${SPAN}-00`);
  expect(unsampled.parents).toEqual([`00-${TRACE}-${unsampled.line["spanId"]}-00`]);
  expect(unsampled.line["spanId"]).not.toBe(SPAN);
});

test.each([
  ["an invalid context", ["traceparent: 00-zz-1-01", "tracestate: a=1"]],
  ["zeros", [`traceparent: 00-${"0".repeat(32)}-${SPAN}-01`]],
  ["two contexts", [SAMPLED, SAMPLED.replace("4bf9", "5bf9"), "tracestate: a=1"]],
])("a trusted proxy's request with %s begins a trace", async (_, fields) => {
  const { ask } = await startTo(PROXY);
  const { line, parents, states } = await ask(...fields);
  expect(line["traceId"]).toMatch(/^[0-9a-f]{32}$/);
  expect(line["traceId"]).not.toBe(TRACE);
  expect(parents).toHaveLength(1);
  expect(parents[0]).toContain(line["traceId"]);
  expect(states).toEqual([]);
});

test("the context of any other peer is replaced, and does not decide what is recorded", async () => {
  const { ask, receiver } = await startTo({}, { sample: 0 });
  const { line, parents, states } = await ask(SAMPLED, "tracestate: a=1");
  expect(line["traceId"]).not.toBe(TRACE);
  expect(parents).toEqual([`00-${line["traceId"]}-${line["spanId"]}-00`]);
  expect(states).toEqual([]);
  expect(receiver.requests).toEqual([]);
});

test("a route can keep the context from its backend", async () => {
  const { ask } = await startTo(
    PROXY,
    {},
    { headers: { request: { remove: ["traceparent", "tracestate"] } } },
  );
  expect(await ask(SAMPLED, "tracestate: a=1")).toMatchObject({ parents: [], states: [] });
});

test("without tracing, the fields of any client are forwarded as they are", async () => {
  const backend = await startBackend((request) => request.respond());
  const routes = { main: { match: { path: "/*" }, upstream: backend.url } };
  const gateway = await startGateway({ routes });
  await rawRequest(
    gateway.port,
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${SAMPLED}\r\ntracestate: a=1\r\n\r\n`,
  );
  const request = await backend.nextRequest();
  expect(request.fieldLines("traceparent")).toEqual([`00-${TRACE}-${SPAN}-01`]);
  expect(request.fieldLines("tracestate")).toEqual(["a=1"]);
  expect(Object.keys(await gateway.requestLine())).not.toContain("traceId");
});
