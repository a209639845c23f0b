import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { dataOf, event, idsOf, startSharing, subscribe } from "../support/shared.ts";
import { openStream } from "../support/sse-client.ts";

test("a client that reads nothing is ended with slow_client; the others miss nothing and do not wait", async () => {
  const backend = await startBackend();
  const gateway = await startSharing(
    backend.url,
    { history: { bytes: "64m" } },
    { stream: { clientBuffer: "64k", heartbeat: "off" } },
  );
  const swift = subscribe(gateway.port);
  const request = await backend.nextRequest();
  request.openStream();
  await swift.opened();
  const slow = openStream(gateway.port, { path: "/news", paused: true });
  await eventually(
    () => gateway.log.filter(({ msg }) => msg === "stream opened").length === 2,
    "both streams",
  );
  const filler = "x".repeat(60_000);
  let sent = 0;
  await eventually(
    async () => {
      sent += 1;
      request.emit(event(`${sent} ${filler}`));
      await swift.received(`data: ${sent} x`);
      return gateway.requestLines().length > 0;
    },
    "the end of the slow client",
    { timeoutMs: 20_000 },
  );
  expect(await gateway.requestLine()).toMatchObject({ endReason: "slow_client" });
  request.emit(event("last"));
  await swift.received("data: last\n\n");
  expect(dataOf(swift).map((data) => data.split(" ", 1)[0])).toEqual([
    ...Array.from({ length: sent }, (_, at) => String(at + 1)),
    "last",
  ]);
  expect(swift.end).toBeUndefined();
  // The received bytes end with an id to reconnect with.
  slow.socket.resume();
  await slow.ended();
  const lastId = idsOf(slow).at(-1);
  const back = subscribe(gateway.port, "/news", lastId);
  await back.received("data: last\n\n");
  expect(back.field("sluice-resumed-from")).toBe(lastId);
});

test("a client that takes none of its pending bytes is ended after sendTimeout", async () => {
  const backend = await startBackend();
  const gateway = await startSharing(
    backend.url,
    {},
    { stream: { clientBuffer: "1g", sendTimeout: "200ms", heartbeat: "off" } },
  );
  openStream(gateway.port, { path: "/news", paused: true });
  const request = await backend.nextRequest();
  request.openStream();
  const block = event("x".repeat(500_000));
  for (let n = 0; n < 20; n++) request.emit(block);
  expect(await gateway.requestLine()).toMatchObject({ endReason: "slow_client" });
});
