import { connect } from "node:net";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";

/** More than the backlog of Node's default, and no more than Linux allows. */
const CROWD = 1_500;

test("1,500 connections at once are all accepted, and no client has to retry", async () => {
  const cwd = directoryOf({
    "config/sluice.yaml": "listen: 127.0.0.1:0\nadmin: false\n",
    "config/routes/main.yaml": 'match: { path: "/*" }\nmock: { status: 200, body: ok }\n',
  });
  const sluice = startSluice(["serve"], { cwd });
  await sluice.logged("ready");
  const port = await sluice.port();
  // The process is busy for a while, as with clients that connected first.
  sluice.kill("SIGSTOP");
  let connected = 0;
  for (let client = 0; client < CROWD; client += 1) {
    const socket = connect(port, "127.0.0.1", () => {
      connected += 1;
    });
    socket.on("error", () => {});
    afterTest(() => void socket.destroy());
  }
  await eventually(() => connected === CROWD, "all to be connected", { timeoutMs: 10_000 });
  expect(connected).toBe(CROWD);
});
