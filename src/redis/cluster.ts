import { EventEmitter } from "node:events";
import { guarded } from "../base/guard.ts";
import { jitter } from "../base/jitter.ts";
import type { RedisConfig, RedisNode } from "../config/redis-schema.ts";
import { RedisCommands, type ServerConnection } from "./commands.ts";
import { RedisConnection } from "./connection.ts";
import type { RedisFaults } from "./faults.ts";
import { addressOf, readRedirection } from "./redirection.ts";
import { RedisFault } from "./redis-fault.ts";
import type { RedisArgument, RedisReply } from "./reply.ts";
import { slotOf } from "./slot.ts";
import { SlotMap } from "./slot-map.ts";
import { slotRangesReply } from "./slot-ranges.ts";
import { nodeTarget } from "./target.ts";

/** How often the slots are read, in ms: while all nodes can be reached, and otherwise. */
const REFRESH_MS = 15_000;
const URGENT_REFRESH_MS = 500;
/** The delay of the first refresh after a fault, so that the faults of many commands cause one. */
const SOON_MS = 50;

/** A command that two nodes send to each other fails. */
const MOST_REDIRECTIONS = 5;
const TRY_AGAIN_MS = 25;

/** A connection that follows a slot to its node. */
interface Follower {
  readonly slot: number;
  readonly connection: RedisConnection;
  at: RedisNode;
}

/**
 * A Redis Cluster: one connection to each master and to each configured node.
 *
 * Each connection is a `RedisConnection`, and so is its behaviour: commands do not queue, and a node that hangs is
 * noticed. The cluster client of ioredis queues and repeats commands for longer than events may wait.
 */
export class RedisCluster extends RedisCommands {
  readonly #config: RedisConfig;
  readonly #name: string;
  readonly #seeds: ReadonlyMap<string, RedisNode>;
  readonly #nodes = new Map<string, RedisConnection>();
  readonly #followers = new Set<Follower>();
  readonly #events = new EventEmitter<{ ready: []; away: []; refused: [fault: string] }>();
  readonly #slots = new SlotMap();
  readonly #startedAt = performance.now();
  #isReady = false;
  #lastFault = "";
  #isRefreshing = false;
  #refreshTimer: NodeJS.Timeout | undefined;
  #refreshAt = Number.POSITIVE_INFINITY;
  #isClosed = false;

  constructor(config: RedisConfig, nodes: readonly RedisNode[], name: string, faults: RedisFaults) {
    super(faults);
    this.#config = config;
    this.#name = name;
    this.#seeds = new Map(nodes.map((node) => [addressOf(node), node]));
    for (const node of nodes) this.#nodeAt(node);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get lastFault(): string {
    return this.#lastFault;
  }

  awayMs(key: string): number {
    const node = this.#slots.nodeOf(slotOf(key));
    const connection = node && this.#nodes.get(addressOf(node));
    return connection?.awayMs() ?? performance.now() - this.#startedAt;
  }

  onReady(listener: () => void): void {
    this.#events.on("ready", guarded(this.faults.onFault, listener));
  }

  onAway(listener: () => void): void {
    this.#events.on("away", guarded(this.faults.onFault, listener));
  }

  onRefused(listener: (fault: string) => void): void {
    this.#events.on("refused", guarded(this.faults.onFault, listener));
  }

  dedicate(key: string): RedisConnection {
    const slot = slotOf(key);
    const at = this.#slots.nodeOf(slot) ?? ([...this.#seeds.values()][0] as RedisNode);
    const connection = this.#connect(at, `${this.#name}-reader`);
    const follower = { slot, connection, at };
    this.#followers.add(follower);
    connection.onMoved((message) => this.#onMoved(message, follower.at));
    return connection;
  }

  async unblock(connection: ServerConnection, id: number): Promise<void> {
    const { peer } = connection;
    const node = [...this.#nodes.values()].find((one) => one.peer === peer);
    await node?.unblock(connection, id);
  }

  async send(key: string, name: string, args: readonly RedisArgument[], waitMs = 0): Promise<RedisReply> {
    const slot = slotOf(key);
    const until = performance.now() + this.#config.timeout;
    let asking: RedisNode | undefined;
    for (let redirections = 0; ; redirections += 1) {
      const node = asking ?? this.#slots.nodeOf(slot);
      if (node === undefined) throw new RedisFault("no node of the cluster serves the slot");
      const connection = this.#nodeAt(node);
      if (redirections > 0) await connection.readyWithin(until - performance.now());
      try {
        if (asking !== undefined) return await connection.sendAsking(name, args);
        return await connection.send(key, name, args, waitMs);
      } catch (error) {
        const isLast = redirections === MOST_REDIRECTIONS || performance.now() >= until;
        if (!(error instanceof RedisFault) || isLast) throw error;
        const redirection = readRedirection(error.message, node);
        asking = redirection?.is === "ASK" ? redirection.node : undefined;
        // The keys of a command are being moved one after the other.
        if (error.message.startsWith("TRYAGAIN")) await delay(jitter(TRY_AGAIN_MS * 2 ** redirections));
        else if (redirection === undefined) throw error;
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#refreshTimer);
    for (const connection of this.#nodes.values()) connection.close();
    this.#nodes.clear();
    this.#followers.clear();
  }

  protected noteFault(fault: string): void {
    this.#lastFault = fault;
  }

  /** Returns the connection to a node, which is made if there is none. */
  #nodeAt(node: RedisNode): RedisConnection {
    const address = addressOf(node);
    const present = this.#nodes.get(address);
    if (present !== undefined) return present;
    const connection = this.#connect(node, this.#name);
    this.#nodes.set(address, connection);
    connection.onReady(() => this.#onNodeReady());
    connection.onAway(() => this.#onNodeFault(address, connection.lastFault || "the connection was lost"));
    connection.onRefused((fault) => this.#onNodeFault(address, fault));
    connection.onMoved((message) => this.#onMoved(message, node));
    return connection;
  }

  #connect(node: RedisNode, name: string): RedisConnection {
    const { timeout } = this.#config;
    return new RedisConnection(
      { target: nodeTarget(this.#config, node), name, timeoutMs: timeout },
      this.faults,
    );
  }

  /** A configured node that is no master may be away. */
  #onNodeFault(address: string, fault: string): void {
    const isOurs = this.#nodes.has(address) && (this.#slots.isEmpty || this.#slots.has(address));
    if (!isOurs || this.#isClosed) return;
    this.#lastFault = `${address}: ${fault}`;
    this.#onChange();
    this.#refreshIn(SOON_MS);
    if (!this.#isReady) this.#events.emit("refused", this.#lastFault);
  }

  #onNodeReady(): void {
    this.#onChange();
    if (!this.#isReady) this.#refreshIn(SOON_MS);
  }

  #onMoved(message: string, asked: RedisNode): void {
    const redirection = readRedirection(message, asked);
    if (redirection === undefined || this.#isClosed) return;
    this.#slots.move(redirection.slot, redirection.node);
    this.#nodeAt(redirection.node);
    this.#follow();
    this.#refreshIn(SOON_MS);
  }

  #onChange(): void {
    const { addresses } = this.#slots;
    const isReady = addresses.length > 0 && addresses.every((at) => this.#nodes.get(at)?.isReady === true);
    if (isReady === this.#isReady || this.#isClosed) return;
    this.#isReady = isReady;
    if (isReady) this.#lastFault = "";
    this.#events.emit(isReady ? "ready" : "away");
  }

  /** Reads the slots after `ms`, unless they are read earlier anyway. */
  #refreshIn(ms: number): void {
    const at = performance.now() + ms;
    if (this.#isClosed || at >= this.#refreshAt) return;
    clearTimeout(this.#refreshTimer);
    this.#refreshAt = at;
    const refresh = guarded(this.faults.onFault, () => void this.#refresh());
    this.#refreshTimer = setTimeout(refresh, ms);
  }

  async #refresh(): Promise<void> {
    this.#refreshAt = Number.POSITIVE_INFINITY;
    if (!this.#isRefreshing) {
      this.#isRefreshing = true;
      await this.#readSlots().catch((error: unknown) => this.#onReadFault(error));
      this.#isRefreshing = false;
    }
    this.#refreshIn(jitter(this.#isReady ? REFRESH_MS : URGENT_REFRESH_MS));
  }

  /** Reports why there is no cluster, such as a server without cluster mode or a user without the right to ask. */
  #onReadFault(error: unknown): void {
    if (!(error instanceof RedisFault)) this.faults.onFault(error);
    else if (this.#slots.isEmpty && !this.#isClosed) {
      this.#lastFault = `CLUSTER SLOTS: ${error.message}`;
      this.#events.emit("refused", this.#lastFault);
    }
  }

  /** Reads the slots from any node. If it lags behind the others, MOVED or the next refresh corrects it. */
  async #readSlots(): Promise<void> {
    const ready = [...this.#nodes].filter(([, { isReady }]) => isReady);
    const [address, connection] = ready[Math.floor(Math.random() * ready.length)] ?? [];
    if (address === undefined || connection === undefined) return;
    const ranges = await connection.ask(slotRangesReply, "CLUSTER", ["SLOTS"]);
    // A node that has not joined yet knows no slots.
    if (ranges.length === 0 || this.#isClosed) return;
    this.#slots.replace(ranges, address.slice(0, address.lastIndexOf(":")));
    for (const node of this.#slots.nodes) this.#nodeAt(node);
    this.#leaveOthers();
    this.#follow();
    this.#onChange();
  }

  /** Closes the connections to nodes that are no masters any more. */
  #leaveOthers(): void {
    for (const [address, connection] of this.#nodes) {
      if (this.#slots.has(address) || this.#seeds.has(address)) continue;
      this.#nodes.delete(address);
      connection.close();
    }
  }

  /** Moves the connections of readers to the nodes of their slots. */
  #follow(): void {
    for (const follower of this.#followers) {
      const node = this.#slots.nodeOf(follower.slot);
      if (node === undefined || addressOf(node) === addressOf(follower.at)) continue;
      follower.at = node;
      follower.connection.moveTo(node);
    }
  }
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
