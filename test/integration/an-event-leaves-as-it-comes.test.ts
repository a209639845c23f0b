import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openRelay } from "../support/relay.ts";

test("each event reaches the client before the backend sends the next", async () => {
  const { client, request } = await openRelay();
  // The backend waits for the client each time: one held event and this never ends.
  for (let n = 0; n < 200; n++) {
    request.emit(`data: ${n}\n\n`);
    await eventually(() => client.text.endsWith(`data: ${n}\n\n`), `event ${n}`);
  }
  expect(client.text).toBe(`:\n${Array.from({ length: 200 }, (_, n) => `data: ${n}\n\n`).join("")}`);
});

test("half an event leaves too", async () => {
  const { client, request } = await openRelay();
  for (const piece of ["d", "ata: ha", "lf", "\n", "\n"]) {
    const before = client.body.length;
    request.emit(piece);
    await eventually(() => client.body.length === before + piece.length, JSON.stringify(piece));
  }
});

test("small writes are not held back by Nagle and delayed acknowledgements", async () => {
  const { client, request } = await openRelay();
  await client.received(":\n");
  const startedAt = performance.now();
  // Nagle would hold every second small write for up to 40 ms: 200 pairs would take eight seconds.
  for (let n = 0; n < 200; n++) {
    request.emit(`data: ${n}\n`);
    request.emit("\n");
    await eventually(() => client.text.endsWith(`data: ${n}\n\n`), `event ${n}`, { everyMs: 1 });
  }
  expect(performance.now() - startedAt).toBeLessThan(5000);
});
