import { expect, test } from "vitest";
import {
  parseAuthorization,
  parseSdkDate,
  spellAuthorization,
  spellSdkDate,
} from "../../../src/auth/app-signature.ts";
import { takeLastEventId } from "../../../src/exchange/last-event-id.ts";
import { MemorySignatures } from "../../../src/limits/memory-signatures.ts";

const HEX = "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe";
const GOOD = `SDK-HMAC-SHA256 Access=K, SignedHeaders=host;x-sdk-date, Signature=${HEX}`;

test("an Authorization field is read and written in the same form", () => {
  const read = parseAuthorization(GOOD);
  expect(read?.key).toBe("K");
  expect(read && spellAuthorization(read)).toBe(GOOD);
});

test.each([
  ["another algorithm", GOOD.replace("SHA256", "SHA1")],
  ["a comma after the algorithm", GOOD.replace("SHA256 ", "SHA256, ")],
  ["no key", GOOD.replace("Access=K", "Access=")],
  ["an empty signature", GOOD.replace(HEX, "")],
  ["a short signature", GOOD.slice(0, -1)],
  ["a long signature", `${GOOD}0`],
  ["upper-case hex", GOOD.replace(HEX, HEX.toUpperCase())],
  ["base64", GOOD.replace(HEX, Buffer.from(HEX, "hex").toString("base64"))],
  ["base64url", GOOD.replace(HEX, Buffer.from(HEX, "hex").toString("base64url"))],
  ["characters beyond ASCII", GOOD.replace("K", "\u00e9\u0660").replace(/.$/, "\u0660")],
  ["`none`", GOOD.replace(HEX, "none")],
  ["unsorted names", GOOD.replace("host;x-sdk-date", "x-sdk-date;host")],
  ["a name twice", GOOD.replace("host;", "host;host;")],
  ["an upper-case name", GOOD.replace("host", "Host")],
  ["no host", GOOD.replace("host;", "")],
  ["no x-sdk-date", GOOD.replace(";x-sdk-date", "")],
  ["an empty name", GOOD.replace("host;", ";host;")],
  ["two keys", GOOD.replace("Access=K", "Access=K, Access=L")],
  ["text after it", `${GOOD}, x=y`],
])("an Authorization field is refused because of %s", (_, value) => {
  expect(value).not.toBe(GOOD);
  expect(parseAuthorization(value)).toBeUndefined();
});

test("a date is accepted in its one form", () => {
  expect(parseSdkDate("20191115T033655Z")).toBe(Date.UTC(2019, 10, 15, 3, 36, 55));
  expect(spellSdkDate(Date.UTC(2019, 10, 15, 3, 36, 55, 999))).toBe("20191115T033655Z");
});

test.each([
  "",
  "1573789015",
  "1573789015000",
  "-20191115T033655Z",
  "+20191115T033655Z",
  "20191115T033655.5Z",
  "20191115T033655",
  "20191115t033655z",
  "20191115T033655+0000",
  "2019-11-15T03:36:55Z",
  "1e99",
  "0x5dce1b57",
  "20190231T033655Z",
  "20191315T033655Z",
  "20191115T243655Z",
  "20191115T033660Z",
  "20191115T033655Z20191115T033655Z",
])("a date is refused in the form %j", (text) => {
  expect(parseSdkDate(text)).toBeUndefined();
});

test.each([
  ["?lastEventId=7", "", "7"],
  ["?lastEventId=", "", ""],
  ["?a=1&lastEventId=7", "?a=1", "7"],
  ["?&lastEventId=7", "?", "7"],
  ["?a=1&lastEventId=%E2%80%A6%20+", "?a=1", "\u00e2\u0080\u00a6 +"],
])("a polyfill's id is removed from the end of %s", (query, rest, lastEventId) => {
  expect(takeLastEventId(query)).toEqual({ query: rest, lastEventId });
});

test.each([
  "",
  "?a=1",
  "?lastEventId=7&a=1",
  "?lastEventId",
  "?xlastEventId=7",
  "?lasteventid=7",
  "?%6castEventId=7",
  "?a=?lastEventId=7x&b",
  "?lastEventId=1&lastEventId=2",
  "?LastEventId=1&lastEventId=2",
  "?%6CastEventId=1&lastEventId=2",
  "?lastEventId&lastEventId=2",
])("nothing is removed from %s", (query) => {
  expect(takeLastEventId(query)).toBeUndefined();
});

test("a signature is remembered until its window ends, and never forgotten earlier", () => {
  const seen = new MemorySignatures(2);
  const [a, b, c] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer];
  const minutes = (count: number) => count * 60_000;
  expect(seen.useOnce(a, minutes(15), 0)).toBe("new");
  expect(seen.useOnce(a, minutes(15), minutes(15))).toBe("seen");
  expect(seen.useOnce(b, minutes(30), minutes(1))).toBe("new");
  expect(seen.useOnce(c, minutes(30), minutes(1))).toBe("full");
  expect(seen.useOnce(a, minutes(15), minutes(2))).toBe("seen");
  // `full` lasts no longer than a window and a minute.
  expect(seen.useOnce(c, minutes(32), minutes(17))).toBe("new");
  expect(seen.useOnce(b, minutes(30), minutes(17))).toBe("seen");
  expect(seen.useOnce(Buffer.alloc(32, 4), minutes(32), minutes(17))).toBe("full");
});
