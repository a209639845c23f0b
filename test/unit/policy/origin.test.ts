import { describe, expect, test } from "vitest";
import { routeSchema } from "../../../src/config/route-schema.ts";
import { compileOrigins } from "../../../src/policy/origin.ts";

const exact = compileOrigins(["https://example.com", "http://localhost:3000"]);
const subdomains = compileOrigins(["https://*.example.com", "http://*.test.example:8080"]);

/** Origins that no configuration may admit for example.com and its subdomains. */
const FOREIGN = [
  "https://example.com.evil.net",
  "https://evilexample.com",
  "https://example.com@evil.net",
  "https://evil.net#.example.com",
  "https://evil.net/.example.com",
  "https://evil.net?.example.com",
  "https://evil.net\\.example.com",
  "https://evil.net:80.example.com",
  "https://user@a.example.com",
  "https://example.com:444",
  "https://a.example.com:444",
  "https://a.example.com:443",
  "http://example.com",
  "http://a.example.com",
  "http://www.example.com",
  "https://example.com.",
  "https://a.example.com.",
  "https://example.com/",
  "https://apiXexample.com",
  "https://.example.com",
  "https://a..example.com",
  "https://*.example.com",
  "https://a b.example.com",
  "https://a\r\n.example.com",
  "https://a\u0000.example.com",
  "https://\u00e9.example.com",
  "https://https://a.example.com",
  "https://a.example.com,https://evil.net",
  "https://example.com https://evil.net",
  " https://example.com",
  "https://example.com\t",
  "HTTPS://EXAMPLE.COM",
  "https://A.example.com",
  "https://",
  "https:",
  "null",
  "*",
  "",
  `https://${"a".repeat(8192)}.example.com`,
];

describe("an exact origin", () => {
  test("is compared byte for byte", () => {
    expect(exact.has("https://example.com")).toBe(true);
    expect(exact.has("http://localhost:3000")).toBe(true);
    expect(exact.has("http://localhost:3001")).toBe(false);
    expect(exact.has("https://a.example.com")).toBe(false);
  });

  test.each(FOREIGN)("does not admit %j", (origin) => {
    expect(exact.has(origin)).toBe(false);
  });
});

describe("a pattern", () => {
  test.each(["https://a.example.com", "https://a.b-c.d_e.example.com", "http://x.test.example:8080"])(
    "admits %s",
    (origin) => {
      expect(subdomains.has(origin)).toBe(true);
    },
  );

  test.each([
    ...FOREIGN,
    "https://example.com",
    "https://example.com.example.com.evil.net",
    "http://x.test.example",
    "http://x.test.example:80800",
    "https://x.test.example:8080",
  ])("does not admit %j", (origin) => {
    expect(subdomains.has(origin)).toBe(false);
  });

  test("the regular expression that people write instead admits a foreign origin", () => {
    expect(/^https:\/\/.*.example.com/.test("https://apiXexample.com.evil.net")).toBe(true);
    expect(subdomains.has("https://apiXexample.com.evil.net")).toBe(false);
  });

  test.each([
    "https://*.",
    "https://*",
    "https://a.*.example.com",
    "*://a.example.com",
    "https://*.*.com",
    "ftp://*.a.com",
  ])("%s is not a pattern, and throws when compiled", (text) => {
    expect(() => compileOrigins([text])).toThrow(TypeError);
  });

  test("matches in linear time", () => {
    const started = performance.now();
    for (let i = 0; i < 10_000; i++) subdomains.has(`https://${"a.".repeat(140)}.example.com`);
    for (let i = 0; i < 10_000; i++) subdomains.has(`https://${"a".repeat(100_000)}.example.com`);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe("* and null", () => {
  const any = compileOrigins(["*"]);

  test.each([
    "https://a.example",
    "http://[::1]:3000",
    "capacitor://localhost",
    "chrome-extension://abc",
    "null",
  ])("* admits %s", (origin) => {
    expect(any.has(origin)).toBe(true);
  });

  test.each([
    "",
    "*",
    "a.example",
    "https://a https://b",
    "https://a,https://b",
    "https://u@a",
    "https://a/b",
    "https://a\\b",
    "https://a?b",
    "https://a#b",
    "https://a\r\nX: y",
    `https://${"a".repeat(8192)}`,
  ])("%j is not an origin, even for *", (origin) => {
    expect(any.has(origin)).toBe(false);
  });

  test("null is admitted only if it is named", () => {
    expect(exact.has("null")).toBe(false);
    expect(subdomains.has("null")).toBe(false);
    expect(compileOrigins(["null"]).has("null")).toBe(true);
    expect(compileOrigins(["null"]).isAny).toBe(false);
  });
});

describe("allowOrigins in the configuration", () => {
  const isValid = (origin: string): boolean =>
    routeSchema.safeParse({
      match: { path: "/" },
      upstream: "http://127.0.0.1:1",
      cors: { allowOrigins: [origin] },
    }).success;

  test.each([
    "*",
    "null",
    "https://example.com",
    "http://localhost:3000",
    "http://[::1]:3000",
    "https://*.example.com",
    "https://*.example.com:8443",
  ])("%s is accepted, and compiles", (origin) => {
    expect(isValid(origin)).toBe(true);
    expect(() => compileOrigins([origin])).not.toThrow();
  });

  test.each([
    "https://*.",
    "https://*",
    "https://*.*.com",
    "https://a.*.example.com",
    "https://*example.com",
    "https://*.a!b.com",
    "https://example.com.",
    "https://example.com/",
    "https://example.com:443",
    "https://EXAMPLE.com",
    "https://user@example.com",
    "ftp://example.com",
    "^https://.*.example.com$",
    "example.com",
    "",
  ])("%j is refused", (origin) => {
    expect(isValid(origin)).toBe(false);
  });
});
