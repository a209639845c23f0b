import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { dataOf, event, startSharing, subscribe } from "../support/shared.ts";

const CLIENTS = 1000;

test("a thousand clients that reconnect at once are all resumed, without a further dial", async () => {
  const backend = await startBackend();
  const gateway = await startSharing(backend.url);
  const first = subscribe(gateway.port);
  const request = await backend.nextRequest();
  request.openStream();
  await first.opened();
  for (let n = 1; n <= 20; n++) request.emit(event(String(n), `i${n}`));
  await first.received("data: 20\n\n");
  const crowd = Array.from({ length: CLIENTS }, (_, n) => ({
    seen: n % 20,
    client: subscribe(gateway.port, "/news", n % 20 === 0 ? undefined : `i${n % 20}`),
  }));
  // Events continue while the clients reconnect.
  for (let n = 21; n <= 30; n++) {
    request.emit(event(String(n), `i${n}`));
    await first.received(`data: ${n}\n\n`);
  }
  await eventually(() => crowd.every(({ client }) => client.head !== undefined), "every head", {
    timeoutMs: 20_000,
  });
  request.emit(event("31", "i31"));
  for (const { seen, client } of crowd) {
    await client.received("data: 31\n\n");
    const got = dataOf(client).map(Number);
    const from = seen === 0 ? (got[0] ?? 0) : seen + 1;
    expect(got).toEqual(Array.from({ length: 32 - from }, (_, at) => from + at));
  }
  expect(backend.requests).toHaveLength(1);
});
