import type { RedisNode } from "../config/redis-schema.ts";
import { addressOf } from "./redirection.ts";
import { SLOTS } from "./slot.ts";
import type { SlotRange } from "./slot-ranges.ts";

/** The masters of a cluster, by the slots that they serve. */
export class SlotMap {
  /** The masters, by their addresses. */
  #nodes: ReadonlyMap<string, RedisNode> = new Map();
  #owners: (RedisNode | undefined)[] = new Array(SLOTS);

  get isEmpty(): boolean {
    return this.#nodes.size === 0;
  }

  get addresses(): readonly string[] {
    return [...this.#nodes.keys()];
  }

  get nodes(): readonly RedisNode[] {
    return [...this.#nodes.values()];
  }

  /** Whether the node at an address is a master. */
  has(address: string): boolean {
    return this.#nodes.has(address);
  }

  /** Returns the master of a slot; undefined if it is not known. */
  nodeOf(slot: number): RedisNode | undefined {
    return this.#owners[slot];
  }

  /** Sets all slots; `asked` is the host of the node that named them. */
  replace(ranges: readonly SlotRange[], asked: string): void {
    const nodes = new Map<string, RedisNode>();
    const owners: (RedisNode | undefined)[] = new Array(SLOTS);
    for (const { from, to, host, port } of ranges) {
      const node = { host: host === "" ? asked : host, port };
      nodes.set(addressOf(node), node);
      owners.fill(node, from, to + 1);
    }
    this.#nodes = nodes;
    this.#owners = owners;
  }

  /** Sets the master of one slot. */
  move(slot: number, node: RedisNode): void {
    this.#nodes = new Map(this.#nodes).set(addressOf(node), node);
    this.#owners[slot] = node;
  }
}
