import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { PIECES } from "../support/random-streams.ts";
import { openStream } from "../support/sse-client.ts";

const streams = fc
  .array(fc.constantFrom(...PIECES), { maxLength: 30 })
  .map((pieces) => Buffer.from(pieces.join(""), "latin1"));

const decode = (text: string): unknown[] => {
  const events: unknown[] = [];
  // The parser holds a last CR back, because an LF may follow; a comment line shows that none does.
  createParser({ onEvent: (event) => events.push(event) }).feed(`${text}:\n`);
  return events;
};

/** Whether `relayed` is `sent` with nothing but `:\n` added here and there. */
function isOnlyCommentedOn(sent: Buffer, relayed: Buffer): boolean {
  // A `:\n` may be the backend's own, so each is tried both ways.
  const seen = new Set<string>();
  const match = (i: number, j: number): boolean => {
    const key = `${i},${j}`;
    if (seen.has(key)) return false;
    seen.add(key);
    if (j === relayed.length) return i === sent.length;
    if (i < sent.length && sent[i] === relayed[j] && match(i + 1, j + 1)) return true;
    return relayed[j] === 0x3a && relayed[j + 1] === 0x0a && match(i, j + 2);
  };
  return match(0, 0);
}

test("the client decodes what the backend sent, whatever the bytes, chunks and pauses are", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { stream: { heartbeat: "1ms" } });
  let heartbeats = 0;
  await fc.assert(
    fc.asyncProperty(streams, fc.array(fc.nat(100), { maxLength: 6 }), async (bytes, cuts) => {
      const client = openStream(gateway.port);
      const request = await backend.nextRequest();
      request.openStream();
      const points = [0, ...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      for (const [index, end] of points.slice(1).entries()) {
        const chunk = bytes.subarray(points[index], end);
        if (chunk.length > 0) request.emit(chunk);
        // Long enough for heartbeats between the chunks, at any position.
        if (index % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 3));
      }
      request.endStream();
      expect(await client.ended()).toBe("clean");
      expect(isOnlyCommentedOn(bytes, client.body), JSON.stringify([bytes.toString(), client.text])).toBe(
        true,
      );
      expect(decode(client.text)).toEqual(decode(bytes.toString()));
      heartbeats += (client.body.length - bytes.length) / 2 - 1;
      client.leave();
    }),
    { numRuns: 150, interruptAfterTimeLimit: 10_000 },
  );
  // Otherwise the test would have tested nothing.
  expect(heartbeats).toBeGreaterThan(50);
});
