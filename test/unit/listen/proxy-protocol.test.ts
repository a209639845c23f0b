import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseProxyHeader } from "../../../src/listen/proxy-protocol.ts";
import { PROXY_V2_LOCAL, proxyV2 } from "../../support/proxy-header.ts";

const line = (text: string) => parseProxyHeader(Buffer.from(text, "latin1"));

describe("version 1", () => {
  test.each([
    ["PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "192.0.2.1"],
    ["PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"],
    ["PROXY TCP4 1.2.3.4 5.6.7.8 0 1\r\n", "1.2.3.4"],
    ["PROXY TCP6 2001:db8::1 ::1 4124 443\r\n", "2001:db8::1"],
  ])("%j names %s", (text, address) => {
    const length = text.length;
    expect(line(text)).toEqual({ length, source: { own: false, address } });
    expect(line(`${text}GET / HTTP/1.1\r\n`)).toEqual({ length, source: { own: false, address } });
    for (let end = 0; end < length; end++) expect(line(text.slice(0, end)), `${end} bytes`).toBe("more");
  });

  test.each(["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 whatever 1 2\r\n"])("%j names no client", (text) => {
    expect(line(text)).toEqual({ length: text.length, source: { own: true } });
  });

  test.each([
    "GET / HTTP/1.1\r\n",
    "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
    "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
    "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
    "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
    "PROXY TCP4 1.2.3.4 5.6.7.8 1 -2\r\n",
    "PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
    "PROXY TCP4 1.2.3.4, 5.6.7.8 1 2\r\n",
    "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
    "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "PROXY constructor 1.2.3.4 5.6.7.8 1 2\r\n",
    `PROXY UNKNOWN ${"x".repeat(100)}\r\n`,
    "PROXY\r\n",
  ])("%j is not a header", (text) => {
    expect(line(text)).toBe("no");
  });

  test("a bare LF does not end the line", () => {
    expect(line("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\nGET / HTTP/1.1\r\n")).toBe("no");
  });
});

describe("version 2", () => {
  test.each([
    ["IPv4", "192.0.2.1"],
    ["IPv6", "2001:db8::1"],
  ])("names an %s address, and the fields after it are skipped", (_, address) => {
    for (const tlv of [Buffer.alloc(0), Buffer.from("\x04\x00\x03abc", "latin1"), Buffer.alloc(3000)]) {
      const bytes = proxyV2(address, tlv);
      const expected = { length: bytes.length, source: { own: false, address } };
      expect(parseProxyHeader(bytes)).toEqual(expected);
      expect(parseProxyHeader(Buffer.concat([bytes, Buffer.from("\x16\x03\x01")]))).toEqual(expected);
      for (const end of [0, 1, 11, 12, 15, 16, 27, bytes.length - 1]) {
        expect(parseProxyHeader(bytes.subarray(0, end)), `${end} bytes`).toBe("more");
      }
    }
  });

  test("LOCAL names no client, with any rest of the header", () => {
    expect(parseProxyHeader(PROXY_V2_LOCAL)).toEqual({ length: 16, source: { own: true } });
    const bytes = proxyV2("192.0.2.1");
    bytes.writeUInt8(0x20, 12);
    expect(parseProxyHeader(bytes)).toEqual({ length: 28, source: { own: true } });
  });

  test("an unspecified family names no client", () => {
    const bytes = proxyV2("192.0.2.1");
    bytes.writeUInt8(0, 13);
    expect(parseProxyHeader(bytes)).toEqual({ length: 28, source: { own: true } });
  });

  test("a unix socket of the proxy is an unknown client, not a trusted unix peer", () => {
    const bytes = proxyV2("192.0.2.1", Buffer.alloc(204));
    bytes.writeUInt8(0x31, 13);
    expect(parseProxyHeader(bytes)).toEqual({ length: 232, source: { own: false, address: undefined } });
  });

  const altered = (at: number, value: number) => {
    const bytes = proxyV2("192.0.2.1");
    bytes.writeUInt8(value, at);
    return bytes;
  };
  test.each([
    ["another version", altered(12, 0x11)],
    ["an unknown command", altered(12, 0x22)],
    ["an unknown family", altered(13, 0x41)],
    ["addresses shorter than its family's", altered(15, 11).subarray(0, 27)],
    ["IPv6 addresses of the length of IPv4", altered(13, 0x21)],
    ["a length beyond the bound", altered(14, 0xff)],
    ["another signature", altered(5, 0x01)],
  ])("%s is not a header", (_, bytes) => {
    expect(parseProxyHeader(bytes)).toBe("no");
  });
});

test("any bytes have a result, and later bytes do not change it", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom("PROXY ", "\r\n\r\n\0\r\nQUIT\n", ""),
      (tail, head) => {
        const bytes = Buffer.concat([Buffer.from(head, "latin1"), tail]);
        const read = parseProxyHeader(bytes);
        if (typeof read === "object") {
          expect(read.length).toBeLessThanOrEqual(bytes.length);
          expect(parseProxyHeader(bytes.subarray(0, read.length))).toEqual(read);
        }
      },
    ),
  );
});
