import { expect, test } from "vitest";
import {
  decodeEntries,
  encodeEntry,
  formatPosition,
  ORIGIN,
  parsePosition,
} from "../../../src/redis/entry.ts";
import { recordKeys } from "../../../src/redis/key.ts";

const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
/** Every byte that a line of a block may contain. */
const block = Buffer.concat([
  Buffer.from("data: "),
  bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d),
  Buffer.from("\n\n"),
]);
/** Every byte that an id may contain. */
const id = `!${Buffer.from(bytes.filter((byte) => byte === 0x09 || (byte > 0x1f && byte !== 0x7f))).toString("latin1")}`;
const stored = { seq: 9, id, backendId: "ü", at: 1234, block };
const NAMES = ["i", "n", "t", "b"];

test("an event is decoded byte for byte as it was encoded", () => {
  const [name = "", ...values] = encodeEntry(stored, { token: 1_700_000_000_000, seq: 9 });
  const fields = NAMES.flatMap((name, at) => [Buffer.from(name), Buffer.from(values[at] as Buffer)]);
  const [entry] = decodeEntries([[Buffer.from(String(name)), fields]]).entries;
  expect(entry).toEqual({ position: { token: 1_700_000_000_000, seq: 9 }, event: stored });
});

test("a retained event retains only its own bytes of the reply", () => {
  const chunk = Buffer.alloc(64 * 1024);
  const block = chunk.subarray(100, 107);
  block.write("data:\n\n");
  const fields = ["i", "1", "n", "1", "t", "1", "b"].map((text) => Buffer.from(text));
  const [entry] = decodeEntries([[Buffer.from("1-1"), [...fields, block]]]).entries;
  expect(entry?.event?.block.buffer.byteLength).toBe(7);
});

test.each([{ fields: null }, { fields: [] }, { fields: [Buffer.from("v"), Buffer.from("1")] }])(
  "an entry with fields of an unknown form has no event: %j",
  ({ fields }) => {
    const [entry] = decodeEntries([[Buffer.from("3-4"), fields]]).entries;
    expect(entry).toEqual({ position: { token: 3, seq: 4 }, event: undefined });
  },
);

test("a position is formatted as it was parsed", () => {
  expect(formatPosition(parsePosition("1700000000000-42") ?? ORIGIN)).toBe("1700000000000-42");
});

test("keys differ by prefix, route, stream and definition; those of one record are on one node of a cluster", () => {
  const all = [
    recordKeys({ prefix: "a", isCluster: false }, "r", "k", "d"),
    recordKeys({ prefix: "b", isCluster: false }, "r", "k", "d"),
    recordKeys({ prefix: "a", isCluster: false }, "q", "k", "d"),
    recordKeys({ prefix: "a", isCluster: false }, "r", "j", "d"),
    recordKeys({ prefix: "a", isCluster: false }, "r", "k", "e"),
  ];
  expect(new Set(all.map(({ events }) => events)).size).toBe(5);
  const { lease, meta, events } = recordKeys({ prefix: "a", isCluster: false }, "r", "k", "d");
  expect(new Set([lease, meta, events].map((key) => /\{.*\}/.exec(key)?.[0])).size).toBe(1);
});
