import { expect, test } from "vitest";
import { createHashKey } from "../../../src/upstream/hash-key.ts";
import { fakeExchange } from "../../support/fake-exchange.ts";

const keyOf = (by: string, fields: readonly string[] = [], query = "", address?: string) => {
  const exchange = fakeExchange(fields, query);
  const known = address === undefined ? exchange : { ...exchange, client: { ...exchange.client, address } };
  return createHashKey({ method: "hash", by })(known as typeof exchange);
};

test.each<[string, readonly string[], string, string | undefined]>([
  ["header:X-User", ["x-user", "ada"], "", "ada"],
  ["header:X-User", ["X-User", "ada", "X-USER", "bob"], "", "ada,bob"],
  ["header:X-User", ["X-User", ""], "", undefined],
  ["header:X-User", [], "", undefined],
  ["cookie:id", ["Cookie", "a=b; id=7"], "", "7"],
  ["cookie:id", ["Cookie", "a=b", "Cookie", 'id="7"'], "", "7"],
  ["cookie:id", ["Cookie", "ID=7; id="], "", undefined],
  ["query:room", [], "?a=1&room=x%20y&room=z", "x y"],
  ["query:room", [], "?r%6fom=7", "7"],
  ["query:room", [], "?rooms=7&room", undefined],
  ["query:room", [], "", undefined],
])("%s of %j %s is %s", (by, fields, query, key) => {
  expect(keyOf(by, fields, query)).toBe(key);
});

test("ip is the client's address, and undefined if the address names no client", () => {
  expect(keyOf("ip", [], "", "192.0.2.7")).toBe("192.0.2.7");
  expect(keyOf("ip", [], "", "unix:")).toBeUndefined();
  expect(keyOf("ip", [], "", "unknown")).toBeUndefined();
});

test("other methods have no key", () => {
  expect(createHashKey({ method: "roundRobin" })(fakeExchange())).toBeUndefined();
});
