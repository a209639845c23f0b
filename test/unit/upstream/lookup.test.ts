import dns from "node:dns";
import { afterEach, expect, test, vi } from "vitest";
import { createLookup } from "../../../src/upstream/lookup.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

type Answer = (error: Error | null, addresses?: { address: string; family: number }[]) => void;

function spyLookup() {
  const asked: { name: string; answer: Answer }[] = [];
  vi.spyOn(dns, "lookup").mockImplementation(((name: string, _options: unknown, answer: Answer) => {
    asked.push({ name, answer });
  }) as never);
  return asked;
}

const V4 = [{ address: "192.0.2.1", family: 4 }];

test("a lookup of a name that is being resolved waits for the same result", () => {
  const asked = spyLookup();
  const lookup = createLookup();
  const answers: unknown[] = [];
  for (let n = 0; n < 100; n++) lookup("app.test", { all: true }, (_error, found) => answers.push(found));
  expect(asked).toHaveLength(1);
  asked[0]?.answer(null, V4);
  expect(answers).toEqual(Array.from({ length: 100 }, () => V4));
});

test("results are not cached: the next connection resolves the name again", () => {
  const asked = spyLookup();
  const lookup = createLookup();
  lookup("app.test", { all: true }, () => {});
  asked[0]?.answer(null, V4);
  lookup("app.test", { all: true }, () => {});
  expect(asked).toHaveLength(2);
});

test("a name that hangs does not delay another name", () => {
  const asked = spyLookup();
  const lookup = createLookup();
  lookup("hangs.test", { all: true }, () => {});
  let found: unknown;
  lookup("app.test", { all: true }, (_error, addresses) => {
    found = addresses;
  });
  asked[1]?.answer(null, V4);
  expect(found).toEqual(V4);
});

test("an error goes to all waiting callers, and each gets the form that it asked for", () => {
  const asked = spyLookup();
  const lookup = createLookup();
  const results: unknown[] = [];
  lookup("app.test", {}, (error) => results.push(error?.message));
  lookup("app.test", { all: true }, (error) => results.push(error?.message));
  asked[0]?.answer(new Error("ENOTFOUND"));
  lookup("app.test", {}, (_error, address, family) => results.push([address, family]));
  asked[1]?.answer(null, V4);
  expect(results).toEqual(["ENOTFOUND", "ENOTFOUND", ["192.0.2.1", 4]]);
});
