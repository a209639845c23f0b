import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { BackendRequest } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { ask, attach, startResuming } from "../support/resume.ts";

/** The whole events that a client has read, and the id of the last one, as a reader of event streams keeps them. */
function readOf(text: string): { readonly tokens: string[]; readonly lastId: string } {
  const blocks = text.split("\n\n").slice(0, -1);
  const tokens = blocks.flatMap((block) => /^data: (.*)$/m.exec(block)?.[1] ?? []);
  const ids = blocks.flatMap((block) => /^id: (.*)$/m.exec(block)?.[1] ?? []);
  return { tokens, lastId: ids.at(-1) ?? "" };
}

const answer = fc.record({
  /** The tokens of each write of the backend; some have an id of the backend. */
  writes: fc.array(
    fc.array(fc.record({ size: fc.nat({ max: 400 }), hasId: fc.nat({ max: 5 }).map((n) => n === 0) }), {
      minLength: 1,
      maxLength: 4,
    }),
    { minLength: 2, maxLength: 12 },
  ),
  /** How many bytes come before each client loses its connection, the part that it has read, and how it comes back. */
  cuts: fc.array(
    fc.record({
      bytes: fc.nat({ max: 1_500 }),
      part: fc.nat({ max: 100 }).map((n) => n / 100),
      isGet: fc.boolean(),
    }),
    { minLength: 1, maxLength: 5 },
  ),
});

test("clients that are cut off anywhere get every token once, in order", async () => {
  const requests: BackendRequest[] = [];
  const { port } = await startResuming({
    resume: { answers: 1_000, answersPerClient: 1_000 },
    onRequest: (request) => {
      requests.push(request);
      request.openStream();
    },
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(answer, async ({ writes, cuts }) => {
      const key = `run-${run++}`;
      const expected: string[] = [];
      const blocks = writes.map((tokens) =>
        tokens
          .map(({ size, hasId }) => {
            const token = `${expected.length}:${"x".repeat(size)}`;
            expected.push(token);
            return `${hasId ? `id: own-${expected.length}\n` : ""}data: ${token}\n\n`;
          })
          .join(""),
      );
      const first = ask(port, { key });
      await first.opened();
      const request = requests.at(-1);
      const send = async () => {
        for (const block of blocks) {
          request?.emit(block);
          await delay(1);
        }
        request?.endStream();
      };
      let isSent = false;
      const sent = send().then(() => {
        isSent = true;
      });
      const tokens: string[] = [];
      let lastEventId = "";
      let client = first;
      const take = (part: number) => {
        const { text } = client;
        const read = readOf(text.slice(0, Math.ceil(text.length * part)));
        tokens.push(...read.tokens);
        if (read.lastId !== "") lastEventId = read.lastId;
      };
      for (const { bytes, part, isGet } of cuts) {
        const { bodyLength } = client;
        const hasEnd = () => client.end !== undefined || client.head?.status === 204;
        await eventually(
          () => hasEnd() || client.bodyLength >= bodyLength + bytes || isSent,
          "bytes or the end",
        );
        client.leave();
        take(part);
        client = (isGet ? attach : ask)(port, { key, ...(lastEventId !== "" && { lastEventId }) });
        await client.opened();
      }
      await sent;
      if (client.head?.status !== 204) expect(await client.ended()).toBe("clean");
      take(1);
      expect(tokens).toEqual(expected);
    }),
    { numRuns: 80 },
  );
  expect(requests).toHaveLength(run);
}, 60_000);
