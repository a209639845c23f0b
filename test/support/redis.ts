import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";

const VALKEY = "/usr/bin/valkey-server";

/** Valkey if the system has it, because Debian replaces Redis with it. */
export const REDIS_EXECUTABLE =
  process.env["REDIS_PATH"] ?? (existsSync(VALKEY) ? VALKEY : "/usr/bin/redis-server");
const MOST_STARTS = 5;

export interface RedisSetup {
  /** Keeps the data over a restart; each write is on disk before its reply. */
  readonly appendOnly?: boolean;
  /** Additional redis.conf settings as arguments: `["--maxmemory", "3mb"]`. */
  readonly options?: readonly string[];
}

/** Runs a redis-server, kills it, freezes it, and starts it again on the same port. */
export class RedisServer {
  readonly port: number;
  readonly #directory: string;
  readonly #setup: RedisSetup;
  #child: ChildProcess | undefined;
  #probe: Redis | undefined;

  constructor(port: number, directory: string, setup: RedisSetup) {
    this.port = port;
    this.#directory = directory;
    this.#setup = setup;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** A connection for the test itself. */
  get client(): Redis {
    this.#probe ??= this.connect();
    return this.#probe;
  }

  /** Whether Redis is loading its data and refuses other commands; false if it does not reply. */
  async isLoading(): Promise<boolean> {
    const redis = new Redis({ port: this.port, enableReadyCheck: false, retryStrategy: () => null });
    redis.on("error", () => {});
    const info = await redis.info("persistence").catch(() => "");
    redis.disconnect();
    return info.includes("loading:1");
  }

  /** Opens another connection, which the caller closes. */
  connect(): Redis {
    const redis = new Redis({ host: "127.0.0.1", port: this.port, retryStrategy: () => 50 });
    // Tests kill the server, which cuts this connection.
    redis.on("error", () => {});
    return redis;
  }

  /** Starts or restarts Redis with `more` configuration; false if another process has taken the port. */
  async start(more: readonly string[] = []): Promise<boolean> {
    const { appendOnly = false, options = [] } = this.#setup;
    const child = spawn(
      REDIS_EXECUTABLE,
      [
        ...["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#directory],
        ...["--save", "", "--appendonly", appendOnly ? "yes" : "no", "--appendfsync", "always"],
        ...["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0", ...options, ...more],
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#child = child;
    let output = "";
    child.stdout?.on("data", (bytes) => {
      output += bytes;
    });
    const isGone = () => child.exitCode !== null || child.signalCode !== null;
    const isReady = () => output.includes("Ready to accept connections");
    await eventually(() => isGone() || isReady(), "redis-server to listen", { timeoutMs: 15_000 });
    if (!isGone()) return true;
    if (output.includes("Address already in use")) return false;
    throw new Error(`redis-server did not start:\n${output}`);
  }

  /** Kills Redis like a power cut. */
  async kill(): Promise<void> {
    await this.#stop("SIGKILL");
  }

  /** Restarts with the data on disk: everything with `appendOnly`, otherwise nothing. */
  async restart(): Promise<void> {
    await this.kill();
    if (!(await this.start())) throw new Error(`port ${this.port} was taken meanwhile`);
  }

  /** Freezes Redis: connections stay open, without replies. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async close(): Promise<void> {
    this.#probe?.disconnect();
    await this.#stop("SIGKILL");
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #stop(signal: "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

/** Starts a real redis-server on a free port of 127.0.0.1; stops it when the test ends. */
export async function startRedis(setup: RedisSetup = {}): Promise<RedisServer> {
  if (!existsSync(REDIS_EXECUTABLE)) {
    throw new Error(
      `no redis-server at ${REDIS_EXECUTABLE}: install the package redis-server, or set REDIS_PATH`,
    );
  }
  for (let start = 0; start < MOST_STARTS; start += 1) {
    const directory = await mkdtemp(join(tmpdir(), "sluice-redis-"));
    const server = new RedisServer(await refusedPort(), directory, setup);
    afterTest(() => server.close());
    if (await server.start()) return server;
  }
  throw new Error(`found no free port in ${MOST_STARTS} tries`);
}

/** Starts a replica of another server; it refuses writes until it is promoted. */
export async function startReplica(of: RedisServer): Promise<RedisServer> {
  const replica = await startRedis({ options: ["--replicaof", "127.0.0.1", String(of.port)] });
  await eventually(
    async () => (await replica.client.info("replication")).includes("master_link_status:up"),
    "the replica to have copied",
    { timeoutMs: 15_000 },
  );
  return replica;
}
