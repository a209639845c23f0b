import fc from "fast-check";
import { expect, test } from "vitest";
import { parseForwarded } from "../../../src/http/forwarded.ts";

const hop = (node: string | undefined, proto?: string, host?: string) => ({ node, proto, host });

test("the examples of RFC 7239 section 4 are read", () => {
  expect(parseForwarded(['for="_gazonk"'])).toEqual([hop("_gazonk")]);
  expect(parseForwarded(['For="[2001:db8:cafe::17]:4711"'])).toEqual([hop("[2001:db8:cafe::17]:4711")]);
  expect(parseForwarded(["for=192.0.2.60;proto=http;by=203.0.113.43"])).toEqual([hop("192.0.2.60", "http")]);
  expect(parseForwarded(["for=192.0.2.43, for=198.51.100.17"])).toEqual([
    hop("192.0.2.43"),
    hop("198.51.100.17"),
  ]);
});

test("several fields form one list, and quoted text may hold delimiters", () => {
  expect(parseForwarded(['for=a;host="x;y, \\"z\\""', "proto=https"])).toEqual([
    hop("a", undefined, 'x;y, "z"'),
    hop(undefined, "https"),
  ]);
});

test.each(["for", "for=", 'for="1.2.3.4', "for=a b", "for=a;for=b", "=a", "for=a;", "for=a,,for=b", "é=a"])(
  "the malformed %j invalidates all hops",
  (value) => {
    expect(parseForwarded(["for=192.0.2.1", value])).toBeUndefined();
  },
);

test("a quote that a client left open does not hide what the proxy appended", () => {
  expect(parseForwarded(['for="6.6.6.6, for="192.0.2.1"'])).toBeUndefined();
  expect(parseForwarded(['for="6.6.6.6', "for=192.0.2.1"])).toBeUndefined();
});

test("no text throws an error, and a rendered list can be read", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), (values) => {
      parseForwarded(values);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme-ascii" }), { minLength: 1 }), (nodes) => {
      const value = nodes.map((node) => `for="${node.replace(/["\\]/g, "\\$&")}"`).join(", ");
      expect(parseForwarded([value])).toEqual(nodes.map((node) => hop(node)));
    }),
  );
});

test("the time is linear in the length", () => {
  const started = performance.now();
  for (const value of [
    'for="'.padEnd(200_000, "\\a"),
    `for=a${" ".repeat(200_000)}b`,
    "for=a,".repeat(30_000),
  ])
    parseForwarded([value]);
  expect(performance.now() - started).toBeLessThan(5000);
});
