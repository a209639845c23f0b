import { test } from "vitest";

test.skip("left out", () => {});
