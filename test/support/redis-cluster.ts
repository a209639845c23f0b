import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";
import { type RedisServer, startRedis } from "./redis.ts";

const SLOTS = 16_384;
/** How long a node must be away until its replica takes over, in ms. */
const NODE_TIMEOUT_MS = 1_000;

/** A Redis Cluster of masters on 127.0.0.1. */
export class RedisClusterServers {
  readonly masters: readonly RedisServer[];

  constructor(masters: readonly RedisServer[]) {
    this.masters = masters;
  }

  /** The addresses for `redis.cluster.nodes`. */
  get nodes(): string[] {
    return this.masters.map(({ port }) => `127.0.0.1:${port}`);
  }

  /** Stops all masters, for a cluster that a hook started. */
  async close(): Promise<void> {
    await Promise.all(this.masters.map((server) => server.close()));
  }

  /** Returns the master that has a key, as the cluster knows it now. */
  async masterOf(key: string): Promise<RedisServer> {
    const slot = await this.slotOf(key);
    const ranges = (await this.masters[0]?.client.call("CLUSTER", "SLOTS")) as [
      number,
      number,
      [string, number],
    ][];
    const [, , [, port]] = ranges.find(([from, to]) => from <= slot && slot <= to) as [
      number,
      number,
      [string, number],
    ];
    return this.masters.find((server) => server.port === port) as RedisServer;
  }

  async slotOf(key: string): Promise<number> {
    return (await this.masters[0]?.client.call("CLUSTER", "KEYSLOT", key)) as number;
  }

  /** Returns the keys of all masters that match a pattern. */
  async keys(pattern: string): Promise<string[]> {
    return (await Promise.all(this.masters.map(({ client }) => client.keys(pattern)))).flat();
  }

  /** Moves a slot with its keys from one master to another, as `redis-cli --cluster reshard` does. */
  async moveSlot(slot: number, from: RedisServer, to: RedisServer, between = async () => {}): Promise<void> {
    const [fromId, toId] = await Promise.all([from, to].map(({ client }) => client.call("CLUSTER", "MYID")));
    await to.client.call("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId as string);
    await from.client.call("CLUSTER", "SETSLOT", slot, "MIGRATING", toId as string);
    for (;;) {
      const keys = (await from.client.call("CLUSTER", "GETKEYSINSLOT", slot, 10)) as string[];
      if (keys.length === 0) break;
      for (const key of keys) {
        await from.client.call("MIGRATE", "127.0.0.1", to.port, key, 0, 5_000);
        await between();
      }
    }
    for (const { client } of [to, from, ...this.masters]) {
      await client.call("CLUSTER", "SETSLOT", slot, "NODE", toId as string);
    }
  }

  /** Adds a replica of a master, which is promoted when the master is killed. */
  async addReplica(of: RedisServer): Promise<RedisServer> {
    const replica = await startNode();
    await join(replica, of);
    const id = (await of.client.call("CLUSTER", "MYID")) as string;
    await eventually(async () => (await nodesAt(replica)).includes(id), "the replica to know its master");
    await replica.client.call("CLUSTER", "REPLICATE", id);
    const isCopied = async () => (await replica.client.info("replication")).includes("master_link_status:up");
    await eventually(isCopied, "the replica to have copied", { timeoutMs: 15_000 });
    // All masters must know it, because they vote for it.
    const replicaId = (await replica.client.call("CLUSTER", "MYID")) as string;
    const isKnown = async () =>
      (await Promise.all(this.masters.map(nodesAt))).every(
        (nodes) => nodes.includes(`${replicaId} `) && /slave/.test(nodes),
      );
    await eventually(isKnown, "the masters to know the replica", { timeoutMs: 15_000 });
    return replica;
  }
}

const nodesAt = async ({ client }: RedisServer): Promise<string> =>
  String(await client.call("CLUSTER", "NODES"));

/** Has two nodes meet; the port of the cluster bus is that of the node's `CLUSTER NODES`. */
async function join(node: RedisServer, other: RedisServer): Promise<void> {
  const [, bus] = /:\d+@(\d+)[^\n]*myself/.exec(await nodesAt(node)) ?? [];
  await other.client.call("CLUSTER", "MEET", "127.0.0.1", node.port, Number(bus));
}

async function startNode(options: readonly string[] = []): Promise<RedisServer> {
  const cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", String(NODE_TIMEOUT_MS)];
  const bus = ["--cluster-port", String(await refusedPort()), "--cluster-require-full-coverage", "no"];
  return startRedis({ options: [...cluster, ...bus, ...options] });
}

/** Starts three masters that share all slots equally; they stop when the test ends. */
export async function startCluster(options: readonly string[] = []): Promise<RedisClusterServers> {
  const masters = await Promise.all([startNode(options), startNode(options), startNode(options)]);
  const size = Math.ceil(SLOTS / masters.length);
  await Promise.all(
    masters.map(({ client }, at) =>
      client.call("CLUSTER", "ADDSLOTSRANGE", at * size, Math.min(SLOTS, (at + 1) * size) - 1),
    ),
  );
  // Two masters with one epoch would have to settle it first.
  for (const [at, { client }] of masters.entries()) await client.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1);
  const [first, ...others] = masters as [RedisServer, ...RedisServer[]];
  for (const other of others) await join(other, first);
  const isWhole = async ({ client }: RedisServer) => {
    const info = String(await client.call("CLUSTER", "INFO"));
    return info.includes("cluster_state:ok") && info.includes("cluster_slots_ok:16384");
  };
  await eventually(
    async () => (await Promise.all(masters.map(isWhole))).every(Boolean),
    "the cluster to be whole",
    { timeoutMs: 15_000 },
  );
  return new RedisClusterServers(masters);
}
