import { readFileSync } from "node:fs";
import { stringify } from "yaml";
import { samplesIn } from "./admin.ts";
import { eventually } from "./eventually.ts";
import type { GatewaySetup } from "./gateway.ts";
import { directoryOf, type SluiceSetup, START_MS, startSluice, writeFiles } from "./sluice-process.ts";

const START = { timeoutMs: START_MS, everyMs: 50 };

/** Starts `sluice serve` with two workers on free ports. */
export async function serveWorkers(
  setup: GatewaySetup,
  { under = [], env = {} }: Pick<SluiceSetup, "under" | "env"> = {},
) {
  const cwd = directoryOf(filesOf(setup));
  const sluice = startSluice(["serve"], { cwd, under, env });
  await sluice.logged("ready");
  const port = await sluice.port();
  const admin = `http://${String((await sluice.logged("admin listening"))["address"])}`;
  const metrics = async () => samplesIn(await (await fetch(`${admin}/metrics`)).text());
  return {
    sluice,
    port,
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    admin,
    metrics,
    /** Returns the process ids of the workers. */
    pids: () => childrenOf(sluice.pid),
    /** Returns the log lines with that text. */
    lines: (msg: string) => sluice.lines().filter((line) => line["msg"] === msg),
    write: (next: GatewaySetup) => writeFiles(cwd, filesOf(next)),
    /** Waits until that many workers serve, after that many restarts. */
    restarted: (count: number) =>
      eventually(
        async () => {
          const samples = await metrics();
          return samples.get("sluice_workers") === 2 && samples.get("sluice_worker_restarts_total") === count;
        },
        `two workers after ${count} restarts`,
        START,
      ),
  };
}

/** Sends a request on a new connection: consecutive connections reach different workers. */
export async function fetchOnce(url: string | URL, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("connection", "close");
  return await fetch(url, { ...init, headers });
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    // A zombie has ended; its parent has not reaped it yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter(Boolean)
    .map(Number);
}

function filesOf({ routes, server = {}, apps }: GatewaySetup): Record<string, string> {
  const own = {
    listen: "127.0.0.1:0",
    admin: "127.0.0.1:0",
    workers: 2,
    drain: { timeout: "1s" },
    log: { level: "debug" },
  };
  return {
    "config/sluice.yaml": stringify({ ...own, ...server }),
    ...(apps === undefined ? {} : { "config/apps.yaml": stringify(apps) }),
    ...Object.fromEntries(
      Object.entries(routes).map(([name, route]) => [`config/routes/${name}.yaml`, stringify(route)]),
    ),
  };
}
