import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type ArrivedRequest,
  clientNetwork,
  createRanges,
  createTrust,
  readAddress,
  UNIX_PEER,
} from "../../../src/http/address.ts";

const trust = createTrust(["127.0.0.1", "10.0.0.0/8", "2001:db8::/32", "fe80::/10"]);

const resolve = (rawHeaders: string[], more: Partial<ArrivedRequest> = {}) =>
  trust.resolveClient({ peer: "10.0.0.1", tls: false, host: "own.example", rawHeaders, ...more });
const xff = (...values: string[]) => resolve(values.flatMap((value) => ["X-Forwarded-For", value]));

describe("addresses", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["192.0.2.1:8080", "192.0.2.1"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["[2001:db8::1]:4711", "2001:db8::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["[fe80::1%25eth0]:80", "fe80::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:201", "192.0.2.1"],
    ["[::ffff:192.0.2.1]:80", "192.0.2.1"],
  ])("%s is read as %s", (text, expected) => {
    expect(readAddress(text)).toBe(expected);
  });

  test.each([
    "",
    "unknown",
    "_hidden",
    "192.0.2",
    "192.0.2.256",
    "010.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    "192.0.2.1%x",
    "192.0.2.1,",
    "[192.0.2.1]",
    "[::1",
    "::1]",
    "[]",
    ":80",
    "unix:",
    "::1\n",
    "1".repeat(10_000),
  ])("%j is not an address", (text) => {
    expect(readAddress(text)).toBeUndefined();
  });

  test("no text throws an error", () => {
    const piece = fc.constantFrom(
      "::",
      ":",
      "[",
      "]",
      "%",
      ".",
      "ffff",
      "1",
      "192.0.2.1",
      ",",
      " ",
      "é",
      "\0",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom("X-Forwarded-For", "Forwarded", "X-Real-IP"), text)),
        (raw) => {
          const client = resolve(raw.flat());
          expect(client.address).toBe(readAddress(client.address));
          expect(client.forwardedFor).toMatch(/^[\x20-\x7e]+$/);
        },
      ),
      { numRuns: 5000 },
    );
  });

  test("every address is read back unchanged", () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        expect(readAddress(`[::ffff:${ip}]:1`)).toBe(ip);
      }),
    );
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        const address = readAddress(ip);
        expect(address).toBeDefined();
        expect(readAddress(address ?? "")).toBe(address);
      }),
    );
  });
});

describe("whom to trust", () => {
  test.each([
    ["127.0.0.1", true],
    ["127.0.0.2", false],
    ["10.255.255.255", true],
    ["11.0.0.0", false],
    ["::ffff:10.1.2.3", true],
    ["::ffff:11.1.2.3", false],
    ["2001:db8:ffff::1", true],
    ["2001:db9::1", false],
    ["fe80::1%eth0", true],
    ["not an address", false],
  ])("%s: %s", (peer, expected) => {
    expect(trust.isTrusted(peer)).toBe(expected);
  });

  test("a range may be written in IPv4-mapped IPv6", () => {
    const mapped = createTrust(["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"]);
    expect(["10.9.9.9", "::ffff:10.9.9.9", "192.0.2.1"].map(mapped.isTrusted)).toEqual([true, true, true]);
    expect(["11.0.0.1", "192.0.2.2", "::1"].map(mapped.isTrusted)).toEqual([false, false, false]);
  });

  test("ranges of 0 bits and of all bits", () => {
    expect(createTrust(["0.0.0.0/0"]).isTrusted("203.0.113.9")).toBe(true);
    expect(createTrust(["0.0.0.0/0"]).isTrusted("2001:db8::1")).toBe(false);
    expect(createTrust(["::1/128"]).isTrusted("::1")).toBe(true);
    expect(createTrust(["::1/128"]).isTrusted("::2")).toBe(false);
  });

  test("an invalid range throws when it is compiled, not when a request comes", () => {
    expect(() => createTrust(["example.com"])).toThrow(TypeError);
  });

  test("the peer of a unix socket is trusted, a socket without an address is not", () => {
    // After a reset, a TCP socket no longer has an address when its request is read.
    const nobody = createTrust([]);
    expect([UNIX_PEER, undefined, "127.0.0.1"].map(nobody.isTrusted)).toEqual([true, false, false]);
    expect(resolve(["X-Forwarded-For", "6.6.6.6"], { peer: undefined })).toMatchObject({
      address: "unknown",
      forwardedFor: "unknown",
      isTrusted: false,
    });
  });
});

describe("a peer that is not trusted", () => {
  test("its forwarding fields are ignored", () => {
    const said = [
      ...["X-Forwarded-For", "127.0.0.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example"],
      ...["Forwarded", "for=127.0.0.1;proto=https;host=evil.example"],
      ...["X-Real-IP", "127.0.0.1", "X-Request-Id", "chosen"],
      ...["X-Forwarded-Port", "8443", "X-Forwarded-Prefix", "/app"],
    ];
    expect(resolve(said, { peer: "::ffff:192.0.2.7" })).toEqual({
      address: "192.0.2.7",
      proto: "http",
      host: "own.example",
      hostSource: "field",
      forwardedPort: undefined,
      forwardedPrefix: "",
      forwardedFor: "192.0.2.7",
      requestId: undefined,
      isTrusted: false,
    });
    expect(resolve(["X-Forwarded-Proto", "http"], { peer: "192.0.2.7", tls: true }).proto).toBe("https");
    // Control: the same fields of a trusted peer are used.
    expect(resolve(said)).toMatchObject({
      proto: "https",
      host: "evil.example",
      hostSource: "proxy",
      forwardedPort: "8443",
      forwardedPrefix: "/app",
      requestId: "chosen",
    });
  });
});

describe("a trusted peer", () => {
  test.each([
    ["203.0.113.5", "203.0.113.5"],
    ["6.6.6.6, 203.0.113.5", "203.0.113.5"],
    ["6.6.6.6, 203.0.113.5, 10.0.0.2", "203.0.113.5"],
    ["127.0.0.1, 203.0.113.5:9000 ,10.0.0.2:80", "203.0.113.5"],
    ["10.0.0.4, 10.0.0.3", "10.0.0.4"],
    ["6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"],
    ["6.6.6.6, <script>", "10.0.0.1"],
    ["6.6.6.6,, ,", "6.6.6.6"],
    ["[2001:db9::1]:80, fe80::2%eth0", "2001:db9::1"],
    ["::ffff:203.0.113.5, ::ffff:10.0.0.2", "203.0.113.5"],
    ["", "10.0.0.1"],
  ])("X-Forwarded-For %j: the client is %s", (value, expected) => {
    expect(xff(value).address).toBe(expected);
  });

  test("several fields form one list", () => {
    expect(xff("6.6.6.6", "203.0.113.5", "10.0.0.2")).toMatchObject({
      address: "203.0.113.5",
      forwardedFor: "6.6.6.6, 203.0.113.5, 10.0.0.2, 10.0.0.1",
    });
  });

  test("the chain is forwarded with the peer appended, and without characters that could break a field or a log line", () => {
    expect(xff("203.0.113.5").forwardedFor).toBe("203.0.113.5, 10.0.0.1");
    expect(xff("a\u00e9 b, 203.0.113.5").forwardedFor).toBe("unknown, 203.0.113.5, 10.0.0.1");
    expect(resolve([]).forwardedFor).toBe("10.0.0.1");
    expect(resolve([], { peer: UNIX_PEER })).toMatchObject({ address: "unix:", forwardedFor: "unknown" });
    expect(resolve(["X-Forwarded-For", "203.0.113.5"], { peer: UNIX_PEER })).toMatchObject({
      address: "203.0.113.5",
      forwardedFor: "203.0.113.5",
    });
  });

  test("of 1,000 entries the 64 nearest are kept", () => {
    const entries = Array.from({ length: 1000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const client = xff(entries.join(","));
    expect(client.address).toBe(entries.at(-64));
    expect(client.forwardedFor.split(", ")).toEqual([...entries.slice(-64), "10.0.0.1"]);
  });

  test("Forwarded is read when there is no X-Forwarded-For, with the parts of the client's own hop", () => {
    const forwarded =
      "for=6.6.6.6;proto=http;host=evil, for=203.0.113.5;proto=https;host=a.example, for=10.0.0.9";
    expect(resolve(["Forwarded", forwarded])).toMatchObject({
      address: "203.0.113.5",
      proto: "https",
      host: "a.example",
      forwardedFor: "6.6.6.6, 203.0.113.5, 10.0.0.9, 10.0.0.1",
    });
    expect(resolve(["Forwarded", forwarded, "X-Forwarded-For", "203.0.113.6"]).address).toBe("203.0.113.6");
    expect(resolve(["Forwarded", 'for="6.6.6.6, for=203.0.113.5']).address).toBe("10.0.0.1");
  });

  test("its host is unclear if it reports only another scheme: its Host field may be its name for this gateway", () => {
    const sourceOf = (...fields: string[]) => resolve(fields).hostSource;
    expect(sourceOf()).toBe("field");
    expect(sourceOf("X-Forwarded-Proto", "http")).toBe("field");
    expect(sourceOf("X-Forwarded-Proto", "https")).toBe("unclear");
    expect(sourceOf("X-Forwarded-Proto", "https", "X-Forwarded-Host", "a.example")).toBe("proxy");
    expect(sourceOf("X-Forwarded-Proto", "https", "X-Forwarded-Host", "a b")).toBe("unclear");
  });

  test.each([
    ["8443", "8443"],
    ["443, 8080", "443"],
    ["0", undefined],
    ["65536", undefined],
    ["80a", undefined],
    ["", undefined],
  ])("X-Forwarded-Port %j is read as %s", (value, port) => {
    expect(resolve(["X-Forwarded-Port", value]).forwardedPort).toBe(port);
  });

  test.each([
    [["/a"], "/a"],
    [["/a/, /b"], "/a/b"],
    [["/a", "/b/c/"], "/a/b/c"],
    [["/"], ""],
    [["//evil.example"], ""],
    [["/a;Domain=evil.example"], ""],
    [["/a//b"], ""],
    [["/a/../b"], ""],
    [["/a\\b"], ""],
    [["/a?b"], ""],
    [["a"], ""],
    [[`/${"a".repeat(1_024)}`], ""],
  ])("X-Forwarded-Prefix %j is read as %j", (values, prefix) => {
    const fields = values.flatMap((value) => ["X-Forwarded-Prefix", value]);
    expect(resolve(fields).forwardedPrefix).toBe(prefix);
  });

  test("X-Real-IP is read only without the other two, and only if it occurs once", () => {
    expect(resolve(["X-Real-IP", "203.0.113.5"])).toMatchObject({
      address: "203.0.113.5",
      forwardedFor: "203.0.113.5, 10.0.0.1",
    });
    expect(resolve(["X-Real-IP", "6.6.6.6", "X-Forwarded-For", "203.0.113.5"]).address).toBe("203.0.113.5");
    expect(resolve(["X-Real-IP", "6.6.6.6", "X-Real-IP", "203.0.113.5"]).address).toBe("10.0.0.1");
  });

  test.each([
    ["https", "https"],
    ["HTTPS , http", "https"],
    ["wss", "https"],
    ["ftp", "http"],
    ["", "http"],
    ["https\u00e9", "http"],
  ])("X-Forwarded-Proto %j: %s", (value, expected) => {
    expect(resolve(["X-Forwarded-Proto", value]).proto).toBe(expected);
  });

  test.each([
    ["a.example", "a.example"],
    ["a.example:8443, b.example", "a.example:8443"],
    ["[2001:db8::1]:80", "[2001:db8::1]:80"],
    ["a.example/b@c", "own.example"],
    ["a.example:port", "own.example"],
    ["a b", "own.example"],
    ["", "own.example"],
    ["a".repeat(260), "own.example"],
  ])("X-Forwarded-Host %j: %s", (value, expected) => {
    expect(resolve(["X-Forwarded-Host", value]).host).toBe(expected);
  });

  test.each([
    [["4f1c-Ab_9"], "4f1c-Ab_9"],
    [["x".repeat(128)], "x".repeat(128)],
    [["x".repeat(129)], undefined],
    [["a b"], undefined],
    [["a\u00e9"], undefined],
    [[""], undefined],
    [["a", "b"], undefined],
    [[], undefined],
  ])("X-Request-Id %j: %j", (values, expected) => {
    expect(resolve(values.flatMap((value) => ["X-Request-Id", value])).requestId).toBe(expected);
  });
});

test("no X-Forwarded-For that a client sends moves the client away from the entry its proxy wrote", () => {
  const entry = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom("10.0.0.7", "127.0.0.1", "unknown"),
    fc.string(),
  );
  const outside = fc.ipV4().filter((ip) => !trust.isTrusted(ip));
  fc.assert(
    fc.property(fc.array(entry), outside, fc.constantFrom("", ", 10.0.0.8"), (sent, client, inner) => {
      expect(xff([...sent, client].join(", ") + inner).address).toBe(client);
    }),
    { numRuns: 3000 },
  );
});

describe("ranges and networks", () => {
  test.each([
    ["10.1.2.3", true],
    ["11.0.0.1", false],
    ["2001:db8::1", true],
    ["2001:db9::1", false],
    ["192.168.0.5", true],
    ["192.168.0.6", false],
    ["unknown", false],
    [UNIX_PEER, false],
  ])("%s in the ranges: %s", (address, isIn) => {
    const ranges = createRanges(["10.0.0.0/8", "2001:db8::/32", "192.168.0.5"]);
    expect(ranges.has(address)).toBe(isIn);
  });

  test.each([
    ["10.1.2.3", "10.1.2.3"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["::1", "0:0:0:0::/64"],
    ["1::2:3:4:5:6:7", "1:0:2:3::/64"],
    ["unknown", "unknown"],
    [UNIX_PEER, UNIX_PEER],
  ])("the network of %s is %s", (address, network) => {
    expect(clientNetwork(address)).toBe(network);
  });
});
