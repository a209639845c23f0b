import { isIP, type Socket, SocketAddress } from "node:net";
import { GrowingBytes } from "../base/growing-bytes.ts";

/**
 * The PROXY protocol, versions 1 and 2: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 *
 * Only the client's address is read; the destination and the fields (TLVs) of version 2 are skipped.
 */

/** The client that a header names. */
export interface ProxyHeader {
  /** The length of the header in bytes; the bytes of the client follow. */
  readonly length: number;
  /**
   * The client's address; undefined for a unix socket, which has none. `own` if the proxy itself is the client, as in
   * its health checks.
   */
  readonly source: { readonly own: true } | { readonly own: false; readonly address: string | undefined };
}

/** The longest line of version 1, with its CRLF (section 2.1). */
const MAX_V1_LENGTH = 107;

/** Addresses take 12 or 36 bytes, and proxies add names and TLS facts; the format would allow 64 KiB. */
const MAX_V2_LENGTH = 4096;

const V1 = Buffer.from("PROXY ");
const V2 = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
const V2_FIXED_LENGTH = 16;

const OWN = { own: true } as const;

/** Reads a header from the first bytes of a connection; `more` while it is incomplete, `no` if it is invalid. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | "more" | "no" {
  if (isBegin(bytes, V2)) return parseV2(bytes);
  return isBegin(bytes, V1) ? parseV1(bytes) : "no";
}

function isBegin(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.compare(signature, 0, length, 0, length) === 0;
}

function parseV1(bytes: Buffer): ProxyHeader | "more" | "no" {
  const end = bytes.subarray(0, MAX_V1_LENGTH).indexOf("\r\n");
  if (end < 0) return bytes.length < MAX_V1_LENGTH ? "more" : "no";
  const length = end + 2;
  const [, family, source = "", destination = "", ...ports] = bytes.toString("latin1", 0, end).split(" ");
  // The text after UNKNOWN must be ignored.
  if (family === "UNKNOWN") return { length, source: OWN };
  const version = { TCP4: 4, TCP6: 6 }[family ?? ""];
  if (version === undefined || isIP(source) !== version || isIP(destination) !== version) return "no";
  // A zone names an interface of the proxy, and is not part of an address.
  if (source.includes("%")) return "no";
  if (ports.length !== 2 || !ports.every(isPort)) return "no";
  return { length, source: { own: false, address: source } };
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function parseV2(bytes: Buffer): ProxyHeader | "more" | "no" {
  if (bytes.length < V2_FIXED_LENGTH) return "more";
  const version = bytes.readUInt8(12) >> 4;
  const command = bytes.readUInt8(12) & 0xf;
  const family = bytes.readUInt8(13) >> 4;
  const size = bytes.readUInt16BE(14);
  const length = V2_FIXED_LENGTH + size;
  if (version !== 2 || command > 1 || length > MAX_V2_LENGTH) return "no";
  if (bytes.length < length) return "more";
  // The rest of a LOCAL header, and of one with an unspecified family, must be ignored.
  if (command === 0 || family === 0) return { length, source: OWN };
  const address = v2Address(family, bytes.subarray(V2_FIXED_LENGTH, length));
  return address === "no" ? "no" : { length, source: { own: false, address } };
}

/** Returns the source address, which comes first; undefined for a unix socket. */
function v2Address(family: number, body: Buffer): string | undefined | "no" {
  if (family === 1) return body.length < 12 ? "no" : body.subarray(0, 4).join(".");
  if (family === 2) return body.length < 36 ? "no" : ipv6(body.subarray(0, 16));
  return family === 3 && body.length >= 216 ? undefined : "no";
}

function ipv6(bytes: Buffer): string {
  const groups = bytes.toString("hex").match(/.{4}/g) ?? [];
  return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
}

/**
 * Reads the header with which a connection must begin, and calls back with its source; the socket then begins with the
 * client's own bytes. Destroys a connection that begins differently, or takes longer than `timeoutMs`.
 */
export function readProxyHeader(
  socket: Socket,
  timeoutMs: number,
  callback: (source: ProxyHeader["source"]) => void,
): void {
  const parts = new GrowingBytes();
  // Without a response: no request has come, so no client waits for one.
  const giveUp = () => socket.destroy();
  const timer = setTimeout(giveUp, timeoutMs);
  // Not `data`: the socket must not flow, or be paused, before the next reader listens.
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    parts.add(chunk);
    const received = parts.bytes;
    const header = parseProxyHeader(received);
    if (header === "more") return;
    stop();
    if (header === "no") return giveUp();
    if (received.length > header.length) socket.unshift(received.subarray(header.length));
    callback(header.source);
  };
  const stop = () => {
    clearTimeout(timer);
    socket.removeListener("readable", onReadable);
    socket.removeListener("end", giveUp);
    socket.removeListener("error", giveUp);
    socket.removeListener("close", stop);
  };
  socket.on("readable", onReadable);
  socket.once("end", giveUp);
  socket.on("error", giveUp);
  socket.once("close", stop);
}
