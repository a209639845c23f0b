import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

test("two hundred clients that disconnect during a script's pause leave no timer and no socket", async () => {
  const mock = { events: [{ data: "x" }, { data: "y", after: "1h" }], repeat: true };
  const gateway = await startGateway({ routes: { main: { match: { path: "/*" }, mock } } });
  const before = timers();
  const clients = Array.from({ length: 200 }, () => openStream(gateway.port));
  for (const client of clients) await client.received("data: x");
  // The control: while connected, each has the timer of its pause.
  expect(timers()).toBeGreaterThanOrEqual(before + 200);
  for (const client of clients) client.leave();
  await eventually(() => gateway.requestLines().length === 200);
  // The test's own delay is one of them.
  await eventually(() => timers() <= before + 2, `${before} timers`);
});
