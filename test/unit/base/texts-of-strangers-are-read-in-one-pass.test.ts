import { expect, test } from "vitest";
import { readParameters, signedQueries } from "../../../src/auth/canonical-query.ts";
import { takeLastEventId } from "../../../src/exchange/last-event-id.ts";
import { createTrust } from "../../../src/http/address.ts";
import { cookieValues } from "../../../src/http/cookie.ts";
import { percentDecoded, percentEncoded, recodedPath } from "../../../src/http/percent-encoding.ts";
import { hasParameter, takeParameter } from "../../../src/http/query.ts";
import { pathFault, routingPath } from "../../../src/http/routing-path.ts";

/** A reading of quadratic time takes a minute for this text, one of linear time milliseconds. */
const LENGTH = 512 * 1024;
const MAX_CPU_MS = 2_000;

const filled = (part: string, before = "", behind = ""): string =>
  before + part.repeat(Math.floor((LENGTH - before.length - behind.length) / part.length)) + behind;

const trust = createTrust(["127.0.0.1"]);
const clientOf = (name: string, value: string) =>
  trust.resolveClient({ peer: "127.0.0.1", tls: false, rawHeaders: [name, value], host: "h" });

const formsOf = (query: string) => {
  const parameters = readParameters(query, 256) ?? [];
  return signedQueries(parameters, parameters.at(-1));
};

test.each<[string, () => unknown]>([
  ["ids in one value", () => takeLastEventId(filled("?lastEventId=", "?", "&"))],
  ["ids that are parameters", () => takeLastEventId(filled("&lastEventI=", "?", "&lastEventId=1"))],
  ["escapes before an id", () => takeLastEventId(filled("&%6c", "?", "&lastEventId=1"))],
  ["a ticket behind bytes that are no text", () => takeParameter(filled("&%ff", "?", "&ticket=x"), "ticket")],
  ["names that begin as the one looked for", () => hasParameter(filled("&ticke%74x", "?"), "ticket")],
  ["semicolons behind a cookie", () => cookieValues(["Cookie", filled(";", "session=x")], "session")],
  ["a cookie many times", () => cookieValues(["Cookie", filled("session=x;")], "session")],
  ["a cookie's name many times", () => cookieValues(["Cookie", filled("session;")], "session")],
  ["slashes", () => [pathFault(filled("/", "", "%41")), routingPath(filled("/", "", "%41"))]],
  ["dots", () => pathFault(filled(".", "/", "x"))],
  ["escapes in a path", () => [pathFault(filled("%2e%2e")), routingPath(filled("%2f%25%ff"))]],
  ["a path to be signed", () => [recodedPath(filled("/%ff+")), recodedPath(filled("%"))]],
  ["a text to be decoded", () => [percentDecoded(filled("%f")), percentEncoded(filled("\u00ff"))]],
  ["separators in a signed query", () => formsOf(filled("&", "", "a"))],
  ["a signed query", () => formsOf(filled(`${"%F0%9F%98%80%EE%80%80".repeat(90)}=1&`))],
  ["commas in X-Forwarded-For", () => clientOf("X-Forwarded-For", filled(",", "192.0.2.1"))],
  ["blanks in X-Forwarded-For", () => clientOf("X-Forwarded-For", filled(" ,", "192.0.2.1"))],
  ["pairs in Forwarded", () => clientOf("Forwarded", filled("for=192.0.2.1,", "", "for=_x"))],
])("%s", (_, read) => {
  const before = process.cpuUsage();
  read();
  expect(process.cpuUsage(before).user / 1_000).toBeLessThan(MAX_CPU_MS);
});

test("the last nodes of X-Forwarded-For count, empty ones are skipped", () => {
  const { address, forwardedFor } = clientOf("X-Forwarded-For", "10.0.0.1,, 192.0.2.7 , ,127.0.0.1,");
  expect([address, forwardedFor]).toEqual(["192.0.2.7", "10.0.0.1, 192.0.2.7, 127.0.0.1, 127.0.0.1"]);
});

test.each([
  ["%41%2fb%25%zz%", "A/b%%zz%", "A%2Fb%25%zz%", "A%2Fb%25%25zz%25"],
  ["/a b%c3%A9+", "/a b\u00c3\u00a9+", "/a b\u00c3\u00a9+", "/a%20b%C3%A9%2B"],
  ["~._-09azAZ", "~._-09azAZ", "~._-09azAZ", "~._-09azAZ"],
])("%s has one decoded, one routed and one signed form", (text, decoded, routed, signed) => {
  expect(percentDecoded(text)).toBe(decoded);
  expect(routingPath(text)).toBe(routed);
  expect(recodedPath(text)).toBe(signed);
});
