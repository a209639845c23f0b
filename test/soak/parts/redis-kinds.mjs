import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { freePort, REDIS, RedisProcess, until } from "../shared-instances.mjs";

/** The kinds of Redis that instances can share: `--redis single`, `sentinel` or `cluster`. */
export const KINDS = ["single", "sentinel", "cluster"];

const SLOTS = 16_384;
const PATIENCE_MS = 60_000;

/** Starts a Redis of a kind. `config` is the `redis` of sluice.yaml. */
export async function startRedisOf(kind, { appendOnly }) {
  const setup = new { single: Single, sentinel: Sentinel, cluster: Cluster }[kind](appendOnly);
  await setup.start();
  return setup;
}

const clientOf = (port) => {
  const client = new Redis({ host: "127.0.0.1", port, retryStrategy: () => 100, maxRetriesPerRequest: 1 });
  client.on("error", () => {});
  return client;
};

class Single {
  constructor(appendOnly) {
    this.servers = [new RedisProcess({ appendOnly })];
  }

  async start() {
    await this.servers[0].start();
    this.config = this.servers[0].url;
  }

  /** Returns the server that has the stream. */
  async primary() {
    return this.servers[0];
  }

  /** Waits until another fault can be survived. */
  async settle() {}

  async close() {
    for (const server of this.servers) await server.close();
  }
}

/** A master, a replica and three sentinels. */
class Sentinel {
  #sentinels = [];
  #clients = [];

  constructor(appendOnly) {
    const options = ["--repl-diskless-sync-delay", "0"];
    this.servers = [new RedisProcess({ appendOnly, options }), new RedisProcess({ appendOnly, options })];
  }

  async start() {
    const [master, replica] = this.servers;
    await master.start();
    await replica.start(["--replicaof", "127.0.0.1", String(master.port)]);
    for (let count = 0; count < 3; count += 1) this.#clients.push(await this.#startSentinel(master.port));
    const nodes = this.#clients.map(({ options }) => `127.0.0.1:${options.port}`);
    this.config = { sentinel: { name: "main", nodes } };
    await until(
      async () => (await this.#clients[0].call("SENTINEL", "SENTINELS", "main")).length === 2,
      "the sentinels to know each other",
      PATIENCE_MS,
    );
    await this.settle();
  }

  async #startSentinel(masterPort) {
    const directory = mkdtempSync(join(tmpdir(), "sluice-soak-sentinel-"));
    const port = await freePort();
    const file = join(directory, "sentinel.conf");
    const lines = [
      `port ${port}`,
      "bind 127.0.0.1",
      `dir ${directory}`,
      `sentinel monitor main 127.0.0.1 ${masterPort} 2`,
      "sentinel down-after-milliseconds main 1000",
      "sentinel failover-timeout main 3000",
    ];
    writeFileSync(file, `${lines.join("\n")}\n`);
    const child = spawn(REDIS, [file, "--sentinel"], { stdio: "ignore" });
    this.#sentinels.push({ child, directory });
    return clientOf(port);
  }

  async primary() {
    const [, port] = await this.#clients[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main");
    return this.servers.find((server) => server.port === Number(port));
  }

  /** Promotes the replica, as an operator does. */
  async failOver() {
    await until(
      () => this.#clients[0].call("SENTINEL", "FAILOVER", "main").catch(() => false),
      "the start of a failover",
      PATIENCE_MS,
    );
  }

  /** Waits for a replica that can be promoted. A former master is made a replica after some ten seconds. */
  async settle() {
    const isWhole = async () => {
      const master = clientOf((await this.primary()).port);
      try {
        const info = await master.info("replication");
        return info.includes("role:master") && /slave0:.*state=online/.test(info);
      } catch {
        return false;
      } finally {
        master.disconnect();
      }
    };
    await until(isWhole, "a master with a replica", PATIENCE_MS);
  }

  async close() {
    for (const client of this.#clients) client.disconnect();
    for (const { child, directory } of this.#sentinels) {
      child.kill("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    }
    for (const server of this.servers) await server.close();
  }
}

/** Three masters without replicas. */
class Cluster {
  #clients = [];

  constructor(appendOnly) {
    this.servers = Array.from({ length: 3 }, () => new RedisProcess({ appendOnly }));
  }

  async start() {
    const size = Math.ceil(SLOTS / this.servers.length);
    const buses = [];
    for (const [at, server] of this.servers.entries()) {
      buses.push(await freePort());
      server.options = ["--cluster-enabled", "yes", "--cluster-port", String(buses[at])];
      server.options.push("--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no");
      await server.start();
      const client = clientOf(server.port);
      this.#clients.push(client);
      await client.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1);
      await client.call("CLUSTER", "ADDSLOTSRANGE", at * size, Math.min(SLOTS, (at + 1) * size) - 1);
      if (at > 0) await client.call("CLUSTER", "MEET", "127.0.0.1", this.servers[0].port, buses[0]);
    }
    this.config = { cluster: { nodes: this.servers.map(({ port }) => `127.0.0.1:${port}`) } };
    await this.settle();
  }

  async primary() {
    const [at] = await this.#place();
    return this.servers[at];
  }

  /** Returns the place of the master that has the stream, and the slot; of a master at random without the stream. */
  async #place() {
    for (const [at, client] of this.#clients.entries()) {
      const [key] = await client.keys("*:events").catch(() => []);
      if (key !== undefined) return [at, await client.call("CLUSTER", "KEYSLOT", key)];
    }
    return [Math.floor(Math.random() * this.servers.length), undefined];
  }

  /** Moves the slot of the stream with its keys to another master. */
  async move() {
    const [at, slot] = await this.#place();
    if (slot === undefined) return;
    const to = (at + 1) % this.servers.length;
    const [source, target] = [this.#clients[at], this.#clients[to]];
    const [sourceId, targetId] = [await source.call("CLUSTER", "MYID"), await target.call("CLUSTER", "MYID")];
    await target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", sourceId);
    await source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", targetId);
    for (;;) {
      const keys = await source.call("CLUSTER", "GETKEYSINSLOT", slot, 10);
      if (keys.length === 0) break;
      for (const key of keys) {
        await source.call("MIGRATE", "127.0.0.1", this.servers[to].port, key, 0, 5_000);
        await delay(20);
      }
    }
    for (const client of [target, source, ...this.#clients]) {
      await client.call("CLUSTER", "SETSLOT", slot, "NODE", targetId);
    }
  }

  async settle() {
    const isWhole = async (client) => {
      const info = await client.call("CLUSTER", "INFO").catch(() => "");
      return info.includes("cluster_state:ok") && info.includes("cluster_slots_ok:16384");
    };
    await until(
      async () => (await Promise.all(this.#clients.map(isWhole))).every(Boolean),
      "the cluster to be whole",
      PATIENCE_MS,
    );
  }

  async close() {
    for (const client of this.#clients) client.disconnect();
    for (const server of this.servers) await server.close();
  }
}
