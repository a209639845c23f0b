import { isIPv4 } from "node:net";

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n");

/** Returns a PROXY protocol line, version 1. */
export const proxyV1 = (address: string): string => `PROXY TCP4 ${address} 192.0.2.99 40000 443\r\n`;

/** Returns a PROXY protocol header, version 2, for a connection from `address`, with TLVs after the addresses. */
export function proxyV2(address: string, tlv: Buffer = Buffer.alloc(0)): Buffer {
  const source = isIPv4(address) ? Buffer.from(address.split(".").map(Number)) : ipv6Bytes(address);
  const addresses = Buffer.concat([
    source,
    Buffer.alloc(source.length, 1),
    Buffer.from([0x9c, 0x40, 1, 0xbb]),
  ]);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(addresses.length + tlv.length);
  const family = Buffer.from([0x21, isIPv4(address) ? 0x11 : 0x21]);
  return Buffer.concat([SIGNATURE, family, size, addresses, tlv]);
}

/** The header of a health check (LOCAL). */
export const PROXY_V2_LOCAL: Buffer = Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0])]);

/** The header for a client on a unix socket (AF_UNIX, 2 x 108 bytes), which has no address. */
export const PROXY_V2_UNIX: Buffer = Buffer.concat([
  SIGNATURE,
  Buffer.from([0x21, 0x31, 0, 216]),
  Buffer.alloc(216),
]);

function ipv6Bytes(address: string): Buffer {
  const [front = "", back] = address.split("::");
  const groups = (text: string | undefined) => (text ? text.split(":") : []);
  const gap = Array<string>(8 - groups(front).length - groups(back).length).fill("0");
  const all = back === undefined ? groups(front) : [...groups(front), ...gap, ...groups(back)];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}
