import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type Notification, startNotifySocket } from "../support/notify-socket.ts";
import { directoryOf, START_MS, startSluice } from "../support/sluice-process.ts";

const FILES = {
  "sluice.yaml": "listen: 127.0.0.1:0\nadmin: false\ndrain: { timeout: 100ms }\n",
  "routes/hello.yaml": "match: { path: /hello }\nmock: { body: hello }\n",
};

/** Stops the event loop for a second: without awaiting, as an endless loop in a handler would. */
const BLOCK_ON_SIGNAL = encodeURIComponent(`
  import { writeSync } from "node:fs";
  process.on("SIGUSR2", () => {
    writeSync(1, "blocked\\n");
    for (const until = Date.now() + 1_000; Date.now() < until; );
    writeSync(1, "free\\n");
  });
`);

/** Starts `sluice serve` as systemd does, with a watchdog of so many milliseconds. */
async function startService(
  watchdogMs: number,
  files: Readonly<Record<string, string>> = FILES,
  options = "",
) {
  const socket = await startNotifySocket();
  const directory = directoryOf(files);
  const env = {
    NOTIFY_SOCKET: socket.path,
    WATCHDOG_USEC: String(watchdogMs * 1_000),
    NODE_OPTIONS: options,
  };
  const sluice = startSluice(["serve", "--config", directory], { env });
  const states = () => socket.messages().filter((message) => message["WATCHDOG"] === undefined);
  const state = (index: number) =>
    eventually(() => states()[index], `message ${index + 1}`, {
      timeoutMs: START_MS,
    }) as Promise<Notification>;
  const beats = () => socket.messages().length - states().length;
  return { ...sluice, directory, state, states, beats };
}

test("ready, reloading, rejected and stopping, with a status each", async () => {
  const service = await startService(0);
  expect(await service.state(0)).toEqual({
    READY: "1",
    STATUS: `serving on 127.0.0.1:${await service.port()}`,
  });
  service.kill("SIGHUP");
  const reloading = await service.state(1);
  expect(reloading).toEqual({ RELOADING: "1", MONOTONIC_USEC: expect.stringMatching(/^\d+$/) });
  // The clock of CLOCK_MONOTONIC: systemd compares it with the time at which it has sent the signal.
  const ageUs = process.hrtime.bigint() / 1_000n - BigInt(reloading["MONOTONIC_USEC"] ?? 0);
  expect(Number(ageUs)).toBeGreaterThan(0);
  expect(Number(ageUs)).toBeLessThan(60_000_000);
  expect(await service.state(2)).toEqual({ READY: "1", STATUS: expect.stringMatching(/^reloaded at /) });
  writeFileSync(
    join(service.directory, "routes/hello.yaml"),
    "match: { path: hello }\nmock: { body: hello }\n",
  );
  expect(await service.state(3)).toMatchObject({ RELOADING: "1" });
  expect(await service.state(4)).toEqual({
    READY: "1",
    STATUS: expect.stringMatching(/^configuration rejected at .*hello\.yaml:1:\d+ match\.path/),
  });
  service.kill("SIGTERM");
  expect(await service.state(5)).toEqual({ STOPPING: "1", STATUS: "draining" });
  expect((await service.ended).code).toBe(0);
  expect(service.beats()).toBe(0);
});

test("the watchdog hears of the event loop, and of nothing while it stands still", async () => {
  const service = await startService(200, FILES, `--import=data:text/javascript,${BLOCK_ON_SIGNAL}`);
  await service.state(0);
  await eventually(() => service.beats() >= 3, "three messages for the watchdog", { timeoutMs: START_MS });
  service.kill("SIGUSR2");
  await eventually(() => service.text().includes("blocked"), "the event loop to stand still");
  // One may be under way.
  const before = service.beats();
  await eventually(() => service.text().includes("free"), "the event loop to go on");
  expect(service.beats()).toBeLessThanOrEqual(before + 1);
  await eventually(() => service.beats() > before + 1, "further messages", { timeoutMs: START_MS });
});

test("with workers, the primary process tells it once", async () => {
  const workers = { ...FILES, "sluice.yaml": `${FILES["sluice.yaml"]}workers: 2\n` };
  const service = await startService(0, workers);
  await service.state(0);
  service.kill("SIGTERM");
  expect((await service.ended).code).toBe(0);
  await service.state(1);
  expect(service.states().map((message) => Object.keys(message)[0])).toEqual(["READY", "STOPPING"]);
});

test("without systemd-notify it serves all the same, and says so once", async () => {
  const directory = directoryOf(FILES);
  const env = { NOTIFY_SOCKET: "/nonexistent", WATCHDOG_USEC: "50000", PATH: "/nonexistent" };
  const service = startSluice(["serve", "--config", directory], { env });
  await service.logged("systemd was not told of a change: systemd-notify failed");
  expect(await (await fetch(`http://127.0.0.1:${await service.port()}/hello`)).text()).toBe("hello");
  const until = performance.now() + 300;
  await eventually(() => performance.now() > until);
  expect(service.lines().filter(({ msg }) => String(msg).startsWith("systemd"))).toHaveLength(1);
});
