import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { directoryOf, START_MS, startSluice } from "../support/sluice-process.ts";
import { serveWorkers } from "../support/workers.ts";

/**
 * Runs in the process of sluice, before its program. V8 shrinks its space for new objects when `queryObjects` collects
 * garbage, and prints the present values of its flags, and ends the process, when it is given `--help`.
 */
const INSIDE = `
  import v8 from "node:v8";
  const size = () =>
    v8.getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size / 2 ** 20;
  process.on("SIGUSR2", () => {
    const before = size();
    v8.queryObjects(class {}, { format: "count" });
    console.log(JSON.stringify({ msg: "shrunk", before, after: size() }));
  });
  process.on("SIGWINCH", () => {
    // V8 drops the bytes that a pipe does not take at once.
    process.stdout._handle.setBlocking(true);
    v8.setFlagsFromString("--help");
  });`;
const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(INSIDE)}` };

const route = { match: { path: "/x" }, upstream: "http://127.0.0.1:1" };
const BUFFERS_IN_HEAP_LIMIT = "--external-memory-accounted-in-global-limit";
/** On earlier versions of Node, V8 does not know the last flag. */
const KEPT = [
  "--no-parallel-scavenge",
  "--no-concurrent-array-buffer-sweeping",
  ...(Number.parseInt(process.versions.node, 10) >= 24 ? [BUFFERS_IN_HEAP_LIMIT] : []),
];
const START = { timeoutMs: START_MS };

function serve() {
  const cwd = directoryOf({
    "config/sluice.yaml": "listen: 127.0.0.1:0\n",
    "config/routes/x.yaml": JSON.stringify(route),
  });
  return startSluice(["serve"], { cwd, env });
}

async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.arrayBuffer();
  return response.status;
}

/** Returns those of `flags` that V8 has not printed; it calls the present values defaults. */
function missing(text: string, ...flags: readonly string[]): string[] {
  const printed = [...text.matchAll(/^\s+type: .*default: (\S+)$/gm)].map(([, flag]) => flag);
  return flags.filter((flag) => !printed.includes(flag));
}

test("requests bring the space for new objects back to its size after V8 has shrunk it", async () => {
  const sluice = serve();
  const port = await sluice.port();
  sluice.kill("SIGUSR2");
  const { after } = await sluice.logged("shrunk");
  expect(after).toBeLessThan(8);
  // More requests than pass between two looks at the size.
  const statuses = await Promise.all(
    Array.from({ length: 200 }, () => statusOf(`http://127.0.0.1:${port}/none`)),
  );
  expect(new Set(statuses)).toEqual(new Set([404]));
  sluice.kill("SIGUSR2");
  const { before } = await sluice.logged("shrunk", 1);
  expect(before).toBeGreaterThanOrEqual(8);
});

test("the process collects on one thread, and lets the space for new objects grow no further", async () => {
  const sluice = serve();
  await sluice.logged("ready");
  sluice.kill("SIGWINCH");
  const { stdout } = await sluice.ended;
  expect(missing(stdout, ...KEPT, "--semi-space-growth-factor=1")).toEqual([]);
});

test("a worker collects on one thread, and lets the space for new objects grow no further", async () => {
  const { sluice, pids } = await serveWorkers({ routes: { x: route } }, { env });
  const [pid] = pids();
  expect(pid).toBeGreaterThan(0);
  process.kill(pid as number, "SIGWINCH");
  const flags = [...KEPT, "--max-semi-space-size=4"];
  await eventually(() => missing(sluice.text(), ...flags).length === 0, `a worker with ${flags}`, START);
});

test("control: the values of V8 itself are others, and a flag that it does not know ends no process", () => {
  const program = `
    const v8 = require("node:v8");
    v8.setFlagsFromString("--no-such-flag");
    v8.setFlagsFromString("--help");`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--eval", program], { env: {}, encoding: "utf8" });
  expect(stderr).toContain("--no-such-flag");
  const flags = ["--parallel-scavenge", "--concurrent-array-buffer-sweeping", "--semi-space-growth-factor=2"];
  expect(missing(stdout, ...flags)).toEqual([]);
});
