import { expect, test } from "vitest";
import { attempt } from "./attempts.mjs";

if (attempt("load") <= Number(process.env.LOAD_FAILS)) throw new Error("the file does not load");

test("behind the load", () => expect(1).toBe(1));
