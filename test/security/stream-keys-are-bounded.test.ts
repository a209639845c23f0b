import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { event, startSharing, streaming, subscribe } from "../support/shared.ts";

/** Every query is a stream of its own, so invented queries could open any number of streams. */

test("beyond shared.channels a new stream gets a 429, and open streams go on", async () => {
  const backend = await startBackend();
  const gateway = await startSharing(backend.url, { channels: 5 });
  const open = Array.from({ length: 5 }, (_, n) => subscribe(gateway.port, `/news?n=${n}`));
  for (const _ of open) (await backend.nextRequest()).openStream();
  for (const client of open) await client.opened();
  for (let n = 0; n < 200; n++) {
    const client = subscribe(gateway.port, `/news?attack=${n}`);
    await client.ended();
    expect(client.head?.status).toBe(429);
    expect(Number(client.field("retry-after"))).toBeGreaterThan(0);
  }
  expect(backend.requests).toHaveLength(5);
  for (const request of backend.requests) request.emit(event("still here"));
  for (const client of open) await client.received("data: still here\n\n");
  // An open channel accepts any number of clients.
  expect((await subscribe(gateway.port, "/news?n=0").opened()).status).toBe(200);
});

test("channels without subscribers are removed for new ones", async () => {
  const backend = await startBackend(streaming());
  const { port } = await startSharing(backend.url, { channels: 3, linger: "1h" });
  for (let n = 0; n < 50; n++) {
    const client = subscribe(port, `/news?n=${n}`);
    expect((await client.opened()).status).toBe(200);
    client.leave();
    await eventually(async () => {
      const next = subscribe(port, `/news?probe=${n}`);
      const { status } = await next.opened();
      next.leave();
      return status === 200;
    });
  }
  await eventually(() => backend.openConnections <= 3, "at most three backend requests");
});

test("all histories together use at most limits.historyBytes", async () => {
  const backend = await startBackend();
  const gateway = await startSharing(backend.url, { linger: "1h" }, {}, { limits: { historyBytes: "130k" } });
  const block = event("x".repeat(9_990));
  const ids: string[] = [];
  for (let n = 0; n < 20; n++) {
    const client = subscribe(gateway.port, `/news?n=${n}`);
    const request = await backend.nextRequest();
    request.openStream();
    await client.opened();
    request.emit(block + event("end", `id${n}`));
    await client.received("data: end\n\n");
    ids.push(/^id: (\w+-1)$/m.exec(client.text)?.[1] ?? "");
    client.leave();
  }
  const known = async (n: number): Promise<boolean> => {
    const client = subscribe(gateway.port, `/news?n=${n}`, ids[n]);
    await client.opened();
    return client.field("sluice-resumed-from") === ids[n];
  };
  const found = await Promise.all(ids.map((_, n) => known(n)));
  // The last ten histories of 10 KB fit, with their overhead; earlier ones were removed.
  expect(found.slice(0, 9)).not.toContain(true);
  expect(found.slice(12)).not.toContain(false);
});
