import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { openStream } from "../support/sse-client.ts";

// A prompt that is sent twice is paid for twice.

const PROMPT = JSON.stringify({ prompt: "é".repeat(20_000), stream: true });

/** Two backends that read the whole prompt and then abort, before the head or after an event. */
async function startBreaking(isBeforeHead: boolean) {
  const bodies: string[] = [];
  const start = () =>
    startBackend(async (request) => {
      bodies.push((await request.wholeBody()).toString());
      if (isBeforeHead) return request.reset();
      request.openStream();
      request.emit("data: 1\n\n");
      request.halfClose();
    });
  const backends = [await start(), await start()];
  return { bodies, upstream: { backends: backends.map(({ url }) => ({ url })), retries: 3 } };
}

test("over HTTP/1.1, aborted after an event", async () => {
  const { bodies, upstream } = await startBreaking(false);
  const gateway = await startGatewayTo("", { upstream });
  const client = openStream(gateway.port, { method: "POST", body: PROMPT });
  expect(await client.ended()).toBe("truncated");
  expect(client.text).toBe(":\ndata: 1\n\n");
  expect(bodies).toEqual([PROMPT]);
});

test("over HTTP/1.1, aborted before the head", async () => {
  const { bodies, upstream } = await startBreaking(true);
  const gateway = await startGatewayTo("", { upstream });
  const client = openStream(gateway.port, { method: "POST", body: PROMPT });
  await client.ended();
  expect(client.head?.status).toBe(502);
  expect(bodies).toEqual([PROMPT]);
});

test("over HTTP/2", async () => {
  const { bodies, upstream } = await startBreaking(false);
  const gateway = await startSecureGatewayTo("", { upstream });
  const client = await openHttp2(gateway.port);
  const exchange = client.request({ ":method": "POST", ":path": "/" }, { endStream: false });
  exchange.stream.end(PROMPT);
  expect(await exchange.closed()).not.toBe(0);
  expect(exchange.text).toBe(":\ndata: 1\n\n");
  expect(bodies).toEqual([PROMPT]);
});
