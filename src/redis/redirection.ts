import type { RedisNode } from "../config/redis-schema.ts";

/** The address of a node, `host:port`; the same spelling for the same node. */
export const addressOf = ({ host, port }: RedisNode): string => `${host}:${port}`;

/** The reply of a cluster's node to a command whose slot it does not serve. */
export interface Redirection {
  /** MOVED: the slot has another node now. ASK: only this command, because the slot is being moved. */
  readonly is: "MOVED" | "ASK";
  readonly slot: number;
  readonly node: RedisNode;
}

/** The host is empty if the node does not know its own address: it is then that of the node that was asked. */
const REDIRECTION = /^(MOVED|ASK) (\d{1,5}) (\S{0,255}):(\d{1,5})$/;

/** Reads an error reply; undefined if it is no redirection. */
export function readRedirection(message: string, asked: RedisNode): Redirection | undefined {
  const [, is, slot, host, port] = REDIRECTION.exec(message) ?? [];
  if (is === undefined) return undefined;
  const node = { host: host === "" || host === undefined ? asked.host : host, port: Number(port) };
  return { is: is as Redirection["is"], slot: Number(slot), node };
}
