import { beforeAll, expect, test } from "vitest";
import { attempt } from "./attempts.mjs";

beforeAll(() => {
  if (attempt("hook") === 1) throw new Error("the hook throws in the first run");
});

test("behind the hook", () => expect(1).toBe(1));
