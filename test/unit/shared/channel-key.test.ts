import { expect, test } from "vitest";
import { keyName } from "../../../src/shared/channel-key.ts";

// As latin1, `Ł` (U+0141) became `A` (0x41): in Redis, two principals had one record, and one saw the other's stream.
test("two keys that differ only beyond latin1 have different names", () => {
  expect(keyName("=Ł")).not.toBe(keyName("=A"));
  expect(keyName("=用户")).not.toBe(keyName("=(7"));
});
