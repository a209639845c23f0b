import OpenAI, { APIError, RateLimitError } from "openai";
import { expect, it } from "vitest";
import { type BackendRequest, refusedPort, startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../../support/gateway.ts";
import { passHeartbeats } from "../../support/pass-heartbeats.ts";

/** The openai SDK: the response to the POST is an event stream, although the request accepts only JSON. */

const clientOf = (gateway: GatewayFixture, maxRetries = 0) =>
  new OpenAI({ apiKey: "blue", baseURL: `${gateway.url}/v1`, maxRetries });

const ask = (client: OpenAI) =>
  client.chat.completions.create({
    model: "scripted",
    stream: true,
    messages: [{ role: "user", content: "Say it in 日本." }],
  });

const emitDelta = (request: BackendRequest, content: string) =>
  request.emit(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`);

const failure = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("expected a failure");
};

/** The deltas in order of arrival; the backend sends the next one on demand. */
function deltasOf(stream: Awaited<ReturnType<typeof ask>>) {
  const chunks = stream[Symbol.asyncIterator]();
  return async () => (await chunks.next()).value?.choices[0]?.delta.content as string | undefined;
}

it("gets deltas one by one between heartbeats, and its end", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { stream: { heartbeat: "5ms" } });
  const answer = ask(clientOf(gateway));
  const request = await backend.nextRequest();
  expect(request.target).toBe("/v1/chat/completions");
  expect(request.field("authorization")).toBe("Bearer blue");
  expect(JSON.parse((await request.wholeBody()).toString("utf8"))).toMatchObject({
    stream: true,
    messages: [{ content: "Say it in 日本." }],
  });
  request.openStream();
  // The call resolves with the head: it does not wait for the first token.
  const nextDelta = deltasOf(await answer);
  for (const content of ["one", "二", " three"]) {
    await passHeartbeats(gateway.port, backend);
    emitDelta(request, content);
    expect(await nextDelta()).toBe(content);
  }
  request.emit("data: [DONE]\n\n");
  request.endStream();
  expect(await nextDelta()).toBeUndefined();
  expect((await gateway.requestLine(3))["endReason"]).toBe("backend_ended");
});

it("cancels the backend request when the caller aborts", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const answer = ask(clientOf(gateway));
  const request = await backend.nextRequest();
  request.openStream();
  const stream = await answer;
  emitDelta(request, "one");
  expect(await deltasOf(stream)()).toBe("one");
  stream.controller.abort();
  await eventually(() => request.connection.closedBy, "the cancellation at the backend");
  expect((await gateway.requestLine())["endReason"]).toBe("client_gone");
});

it("cancels the backend request when the caller aborts before the head", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const controller = new AbortController();
  const answer = clientOf(gateway).chat.completions.create(
    { model: "scripted", stream: true, messages: [] },
    { signal: controller.signal },
  );
  const request = await backend.nextRequest();
  controller.abort();
  expect(await failure(answer)).toMatchObject({ message: "Request was aborted." });
  await eventually(() => request.connection.closedBy, "the cancellation at the backend");
});

it("detects an incomplete response", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const answer = ask(clientOf(gateway));
  const request = await backend.nextRequest();
  request.openStream();
  const nextDelta = deltasOf(await answer);
  emitDelta(request, "half of");
  expect(await nextDelta()).toBe("half of");
  request.reset();
  // A clean end would look like a complete response: the SDK does not require [DONE].
  expect(await failure(nextDelta())).toBeInstanceOf(Error);
});

it("treats a clean end without [DONE] as a complete response", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const answer = ask(clientOf(gateway));
  const request = await backend.nextRequest();
  request.openStream();
  const nextDelta = deltasOf(await answer);
  emitDelta(request, "half of");
  expect(await nextDelta()).toBe("half of");
  request.endStream();
  expect(await nextDelta()).toBeUndefined();
});

it.each([
  [429, "slow down"],
  [500, "the model fell over"],
])("raises the backend's own %i", async (status, message) => {
  const backend = await startBackend((request) =>
    request.respond(status, { "Content-Type": "application/json" }, JSON.stringify({ error: { message } })),
  );
  const gateway = await startGatewayTo(backend.url);
  const error = await failure(ask(clientOf(gateway)));
  expect(error).toBeInstanceOf(status === 429 ? RateLimitError : APIError);
  expect(error).toMatchObject({ status, error: { message } });
  expect(backend.requests).toHaveLength(1);
});

it("raises the gateway's own 502 with its request id", async () => {
  const gateway = await startGatewayTo(`http://127.0.0.1:${await refusedPort()}`);
  const error = await failure(ask(clientOf(gateway)));
  expect(error).toBeInstanceOf(APIError);
  expect(error).toMatchObject({
    status: 502,
    requestID: (await gateway.requestLine())["reqId"],
    message: "502 Backend unavailable.",
    type: "server_error",
    code: "APIG.0201",
  });
});

it("retries as the backend asks, and then streams", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const answer = ask(clientOf(gateway, 1));
  const first = await backend.nextRequest();
  const body = await first.wholeBody();
  first.respond(429, { "Retry-After-Ms": "1", "Content-Type": "application/json" }, "{}");
  const second = await backend.nextRequest();
  expect(second.field("x-stainless-retry-count")).toBe("1");
  expect(await second.wholeBody()).toEqual(body);
  second.openStream();
  emitDelta(second, "now");
  expect(await deltasOf(await answer)()).toBe("now");
});
