import { expect, test } from "vitest";
import { AnswerBackend } from "../../src/answers/answer-backend.ts";
import { AnswerGeneration } from "../../src/answers/answer-generation.ts";
import { ResponseParser } from "../../src/http/response-parser.ts";
import { BackendEventReader } from "../../src/shared/backend-event-reader.ts";
import { ChannelBackend } from "../../src/shared/channel-backend.ts";
import { BackendResponse } from "../../src/upstream/backend-response.ts";
import { Connection } from "../../src/upstream/connection.ts";
import { metricsOf, startWithAdmin } from "../support/admin.ts";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { breaks, FAULT } from "../support/breaks.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { ask, attach, emitToken, resumingRoute, startResuming } from "../support/resume.ts";
import { openStream } from "../support/sse-client.ts";

// A named answer and a shared stream have a backend request of their own. A fault in it has no client's exchange to end:
// it left clients that waited for ever, or ended the process.

const streaming = (request: BackendRequest) => {
  request.openStream();
  emitToken(request, "one");
};
const ADMIN = { server: { admin: 0 } };

/** Expects one log line with the stack, and one count. */
async function expectOneFault(gateway: GatewayFixture): Promise<void> {
  const faults = () => gateway.log.filter((line) => JSON.stringify(line).includes(`${FAULT}\\n`));
  await eventually(() => faults().length > 0, "the line of the fault");
  expect((await metricsOf(gateway)).get("sluice_internal_errors_total")).toBe(1);
  expect(faults()).toHaveLength(1);
}

const emitted = (request?: BackendRequest) => emitToken(request, "two");
const reset = (request?: BackendRequest) => request?.reset();
const ended = (request?: BackendRequest) => request?.endStream();

test.each([
  ["the reader of its bytes", emitted, () => breaks(AnswerGeneration.prototype, "onData")],
  ["the handling of its end", ended, () => breaks(AnswerGeneration.prototype, "onEnd")],
  ["the handling of its abort", reset, () => breaks(BackendResponse.prototype, "onBroken")],
  ["the reader of its response", emitted, () => breaks(BackendResponse.prototype, "onRead")],
])("a fault in %s aborts a named answer, and is counted once", async (_, step, breakIt) => {
  const { gateway, port, requests } = await startResuming({ onRequest: streaming, ...ADMIN });
  const client = ask(port);
  await client.received("one");
  const other = ask(port, { key: "k2" });
  await other.received("one");
  breakIt();
  step(requests[0]);
  expect(await client.ended()).toBe("truncated");
  await requests[0]?.connection.closed;
  // Replays of the broken answer are no further faults.
  expect(await attach(port).ended()).toBe("truncated");
  await expectOneFault(gateway);
  emitToken(requests[1], "on");
  await other.received("on");
});

test("a fault in the reader of a response head aborts the named answer", async () => {
  const { gateway, port } = await startResuming({ onRequest: streaming, ...ADMIN });
  breaks(AnswerGeneration.prototype, "onHead");
  expect(await ask(port).ended()).toBe("truncated");
  await expectOneFault(gateway);
});

test("a fault before the response head is a 500, or is logged if the client has left", async () => {
  const setup = await startResuming(ADMIN);
  breaks(Connection.prototype, "send");
  const client = ask(setup.port);
  expect((await client.opened()).status).toBe(500);
  await expectOneFault(setup.gateway);

  const { gateway, port, requests } = await startResuming(ADMIN);
  const first = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  first.leave();
  await eventually(() => gateway.requestLines().length === 1, "the line of the client");
  breaks(ResponseParser.prototype, "read");
  requests[0]?.respond(200, {}, "{}");
  await expectOneFault(gateway);
});

test.each([
  ["the response", () => breaks(BackendResponse.prototype, "cancel")],
  ["the request", () => breaks(AnswerBackend.prototype, "cancel")],
])("a fault while %s of an answer without a client is cancelled ends no other answer", async (_, breakIt) => {
  const { gateway, port, requests } = await startResuming({
    resume: { grace: "100ms" },
    onRequest: streaming,
    ...ADMIN,
  });
  const client = ask(port);
  await client.received("one");
  const other = ask(port, { key: "k2" });
  await other.received("one");
  breakIt();
  client.leave();
  await expectOneFault(gateway);
  emitToken(requests[1], "on");
  await other.received("on");
});

test.each([
  ["the reader of its events", emitted, () => breaks(BackendEventReader.prototype, "feed")],
  ["the handling of its abort", reset, () => breaks(BackendResponse.prototype, "onBroken")],
  ["the handling of its end", ended, () => breaks(ChannelBackend.prototype, "onLost")],
])("a fault in %s is counted once, and the shared stream goes on", async (_, step, breakIt) => {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    streaming(request);
  });
  const shared = { redial: { min: "100ms" } };
  const { resume: _resume, ...route } = resumingRoute(backend.url, {});
  const gateway = await startWithAdmin({ routes: { main: { ...route, shared } } });
  const client = openStream(gateway.port, { headers: { Accept: "text/event-stream" } });
  await client.received("one");
  breakIt();
  step(requests[0]);
  await eventually(() => requests.length === 2, "another backend request");
  emitToken(requests[1], "again");
  await client.received("again");
  await expectOneFault(gateway);
});
