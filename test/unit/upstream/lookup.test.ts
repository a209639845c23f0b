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

test("who asks while a name is being resolved waits for the same answer", () => {
  const asked = spyLookup();
  const lookup = createLookup();
  const answers: unknown[] = [];
  for (let n = 0; n < 100; n++) lookup("app.test", { all: true }, (_error, found) => answers.push(found));
  expect(asked).toHaveLength(1);
  asked[0]?.answer(null, V4);
  expect(answers).toEqual(Array.from({ length: 100 }, () => V4));
});

test("nothing is remembered: the next connection asks again", () => {
  const asked = spyLookup();
  const lookup = createLookup();
  lookup("app.test", { all: true }, () => {});
  asked[0]?.answer(null, V4);
  lookup("app.test", { all: true }, () => {});
  expect(asked).toHaveLength(2);
});

test("a name that hangs holds up nobody who asks for another", () => {
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

test("an error goes to everybody who waits, and the form asked for is the form answered", () => {
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
