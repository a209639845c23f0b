import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { REDIS_EXECUTABLE } from "./redis.ts";

/** A sentinel that watches one master. */
export interface Sentinel {
  readonly port: number;
  /** A connection for the test itself. */
  readonly client: Redis;
  /** Returns the port of the present master. */
  master(): Promise<number>;
  /** Promotes the replica, as an operator does. */
  failOver(): Promise<unknown>;
  /** Kills the sentinel; nothing is left of it. */
  close(): Promise<void>;
}

/**
 * Starts a sentinel for the master at a port, which is called `main`; one is enough to promote a replica. `more` are
 * lines of its configuration. Stops it when the test ends.
 */
export async function startSentinel(masterPort: number, more: readonly string[] = []): Promise<Sentinel> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-sentinel-"));
  const port = await refusedPort();
  const file = join(directory, "sentinel.conf");
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${directory}`,
    `sentinel monitor main 127.0.0.1 ${masterPort} 1`,
    "sentinel down-after-milliseconds main 500",
    "sentinel failover-timeout main 2000",
    ...more,
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const child = spawn(REDIS_EXECUTABLE, [file, "--sentinel"], { stdio: ["ignore", "ignore", "inherit"] });
  const client = new Redis({ host: "127.0.0.1", port, retryStrategy: () => 50 });
  client.on("error", () => {});
  const close = async () => {
    client.disconnect();
    await stop(child);
    await rm(directory, { recursive: true, force: true });
  };
  afterTest(close);
  return {
    port,
    client,
    close,
    async master() {
      const [, found] = (await client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")) as [
        string,
        string,
      ];
      return Number(found);
    },
    failOver: () => client.call("SENTINEL", "FAILOVER", "main"),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
