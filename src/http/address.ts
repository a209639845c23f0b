import { BlockList, isIP, SocketAddress } from "node:net";
import { ownText } from "../base/own-text.ts";
import { fieldValue, fieldValues, type RawFields } from "./fields.ts";
import { type Hop, parseForwarded } from "./forwarded.ts";

/**
 * The peer of a unix socket. It counts as trusted: only a local process that the socket's file mode lets
 * in can be one.
 *
 * It has a name of its own because a missing address does not mean a unix socket: a PROXY protocol header may
 * name a client without one, and that client must not be believed.
 */
export const UNIX_PEER = "unix:";
/** A client whose address is not known, as behind a PROXY protocol header for a unix socket. */
export const UNKNOWN = "unknown";

/** The longest chain that is read and sent on; the ends beyond it, the client's side, are cut off. */
const MAX_HOPS = 64;
/** The longest node: `[`, 45 characters of IPv6 with a zone, `]`, a port. */
const MAX_NODE_LENGTH = 100;

const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
/** 253 characters of name (RFC 1035) and a port. */
const MAX_HOST_LENGTH = 259;
/** Visible ASCII, so that an id can neither break a log line nor a header; 128 as traces use at most. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const VISIBLE = /^[\x21-\x7e]{1,100}$/;

/** What is known of a request before anything it says about itself is believed. */
export interface ArrivedRequest {
  /** The connection's remote address, `UNIX_PEER`, or undefined when a proxy's header names no address. */
  readonly peer: string | undefined;
  readonly tls: boolean;
  readonly rawHeaders: RawFields;
  /** The Host field, or the authority that stands for it. */
  readonly host: string;
}

/** Who sent a request, after what trusted proxies said about it. */
export interface Client {
  /** A canonical IP address; `unix:` or `unknown` when there is none. */
  readonly address: string;
  readonly proto: "http" | "https";
  readonly host: string;
  /** The X-Forwarded-For to send on. */
  readonly forwardedFor: string;
  /** A trusted proxy's X-Request-Id; undefined when a new one is to be made. */
  readonly requestId: string | undefined;
  /** Whether the peer's word was taken for all this. */
  readonly isTrusted: boolean;
}

/** The set of proxies that are believed. */
export interface Trust {
  isTrusted(peer: string | undefined): boolean;
  resolveClient(request: ArrivedRequest): Client;
}

/** Compiles `trustedProxies`, which the configuration has checked to be addresses or CIDR ranges. */
export function createTrust(cidrs: readonly string[]): Trust {
  const ranges = createRanges(cidrs);

  function isTrusted(peer: string | undefined): boolean {
    if (peer === UNIX_PEER) return true;
    if (peer === undefined || cidrs.length === 0) return false;
    const address = readAddress(peer);
    return address !== undefined && ranges.has(address);
  }

  function resolveClient(request: ArrivedRequest): Client {
    const { peer, rawHeaders } = request;
    const own = ownAddress(peer);
    const proto = request.tls ? "https" : "http";
    if (!isTrusted(peer)) {
      const { host } = request;
      return { address: own, proto, host, forwardedFor: own, requestId: undefined, isTrusted: false };
    }
    const chain = chainOf(rawHeaders);
    const { address, hop } = walk(chain, own, isTrusted);
    return {
      address: ownText(address),
      proto: readProto(firstItem(rawHeaders, "x-forwarded-proto") ?? hop?.proto) ?? proto,
      host: readHost(firstItem(rawHeaders, "x-forwarded-host") ?? hop?.host) ?? request.host,
      forwardedFor: sendOn(chain, own),
      requestId: readRequestId(rawHeaders),
      isTrusted: true,
    };
  }

  return { isTrusted, resolveClient };
}

/**
 * The canonical form of an address as proxies write it: with a port, in brackets, with a zone, or IPv4 in
 * IPv6 clothes. Undefined for anything else, such as `unknown`.
 */
export function readAddress(text: string): string | undefined {
  if (isIP(text) === 4) return text;
  if (text.length > MAX_NODE_LENGTH) return undefined;
  const match = /^(?:\[([^\]]*)\]|([\d.]+))(?::[\w.-]+)?$/.exec(text);
  const [bare = "", zone] = (match?.[1] ?? match?.[2] ?? text).split("%", 2);
  const family = isIP(bare);
  if (family === 4) return zone === undefined && match?.[1] === undefined ? bare : undefined;
  if (family === 0) return undefined;
  const { address } = new SocketAddress({ address: bare, family: "ipv6" });
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** A set of addresses. */
export interface Ranges {
  /** Whether a `Client.address` is in it; one that is no IP address never is. */
  has(address: string): boolean;
}

/** Compiles addresses and CIDR ranges, which the configuration has checked to be such. */
export function createRanges(cidrs: readonly string[]): Ranges {
  const ranges = compileRanges(cidrs);
  return { has: (address) => isIP(address) !== 0 && ranges.check(address, familyOf(address)) };
}

/**
 * What is counted as one client: an IPv4 address, or the /64 network of an IPv6 address, because whoever has
 * one address of a /64 has all 2^64 of them. Takes a `Client.address`, whatever it is.
 */
export function clientNetwork(address: string): string {
  if (isIP(address) !== 6) return address;
  const [front = "", back] = address.split("::", 2);
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const given = [groups(front), groups(back ?? "")] as const;
  const zeros = back === undefined ? 0 : Math.max(0, 8 - given[0].length - given[1].length);
  const all = [...given[0], ...Array<string>(zeros).fill("0"), ...given[1]];
  return `${all.slice(0, 4).join(":")}::/64`;
}

function compileRanges(cidrs: readonly string[]): BlockList {
  const ranges = new BlockList();
  for (const cidr of cidrs) {
    const [ip = "", bits] = cidr.split("/");
    const address = readAddress(ip);
    if (address === undefined) throw new TypeError(`no address or CIDR range: ${cidr}`);
    const family = familyOf(address);
    // ::ffff:10.0.0.0/104 was turned into 10.0.0.0, so its first 96 bits are gone.
    const mappedBits = family === "ipv4" && ip.includes(":") ? 96 : 0;
    const prefix = bits === undefined ? undefined : Number(bits) - mappedBits;
    if (prefix === undefined) ranges.addAddress(address, family);
    else if (prefix >= 0) ranges.addSubnet(address, prefix, family);
    else ranges.addSubnet(ip, Number(bits), "ipv6");
  }
  return ranges;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}

function ownAddress(peer: string | undefined): string {
  if (peer === UNIX_PEER) return peer;
  return (peer === undefined ? undefined : readAddress(peer)) ?? UNKNOWN;
}

/** X-Forwarded-For, else Forwarded, else X-Real-IP; the client's hop first. */
function chainOf(raw: RawFields): Hop[] {
  const nodes = lastNodes(fieldValues(raw, "x-forwarded-for"));
  if (nodes.length > 0) return nodes.map(hopAt);
  const forwarded = fieldValues(raw, "forwarded");
  if (forwarded.length > 0) return (parseForwarded(forwarded) ?? []).slice(-MAX_HOPS);
  const realIp = fieldValues(raw, "x-real-ip");
  return realIp.length === 1 ? realIp.map(hopAt) : [];
}

/**
 * The last nodes of the lists, at most as many as count. Read from the end: what stands before them was written by
 * strangers, and 16 KiB of commas would be as many texts.
 */
function lastNodes(lists: readonly string[]): string[] {
  const nodes: string[] = [];
  for (const list of lists.toReversed()) {
    for (let end = list.length; end > 0 && nodes.length < MAX_HOPS; ) {
      const comma = list.lastIndexOf(",", end - 1);
      if (end - comma > 1) {
        const node = list.slice(comma + 1, end).trim();
        if (node !== "") nodes.push(node);
      }
      end = comma;
    }
  }
  return nodes.reverse();
}

function hopAt(node: string): Hop {
  return { node, proto: undefined, host: undefined };
}

/**
 * Goes back from the peer past trusted addresses; the first that is not trusted is the client. What
 * stands left of it was written by that client. Where a hop cannot be read, the one before it is the
 * last that is known.
 */
function walk(chain: readonly Hop[], own: string, isTrusted: Trust["isTrusted"]) {
  let address = own;
  let hop: Hop | undefined;
  for (let i = chain.length - 1; i >= 0; i--) {
    const next = readAddress(chain[i]?.node ?? "");
    if (next === undefined) break;
    address = next;
    hop = chain[i];
    if (!isTrusted(next)) break;
  }
  return { address, hop };
}

function sendOn(chain: readonly Hop[], own: string): string {
  const nodes = chain.map(({ node = "" }) => (VISIBLE.test(node) ? node : UNKNOWN));
  // A unix socket is no address that a backend could look for in this field.
  if (own !== UNIX_PEER) nodes.push(own);
  return nodes.length > 0 ? nodes.join(", ") : UNKNOWN;
}

function firstItem(raw: RawFields, lowerName: string): string | undefined {
  return fieldValue(raw, lowerName)?.split(",", 1)[0]?.trim();
}

function readProto(text: string | undefined): "http" | "https" | undefined {
  switch (text?.toLowerCase()) {
    case "http":
    case "ws":
      return "http";
    case "https":
    case "wss":
      return "https";
    default:
      return undefined;
  }
}

function readHost(text: string | undefined): string | undefined {
  return text !== undefined && text.length <= MAX_HOST_LENGTH && HOST.test(text) ? text : undefined;
}

function readRequestId(raw: RawFields): string | undefined {
  const [id, ...more] = fieldValues(raw, "x-request-id");
  return id !== undefined && more.length === 0 && REQUEST_ID.test(id) ? id : undefined;
}
