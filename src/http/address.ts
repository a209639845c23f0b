import { BlockList, isIP, SocketAddress } from "node:net";
import { ownText } from "../base/own-text.ts";
import { fieldValue, fieldValues, type RawFields } from "./fields.ts";
import { withoutFinalSlashes } from "./final-slashes.ts";
import { type Hop, parseForwarded } from "./forwarded.ts";
import { pathFault } from "./routing-path.ts";

/**
 * The peer of a unix socket. It is trusted, because only a local process that the socket's file mode admits can
 * connect.
 *
 * A missing address must not mean a unix socket: a PROXY protocol header may name a client without an address, and
 * that client is not trusted.
 */
export const UNIX_PEER = "unix:";
/** The `Client.address` of a client without a known address, as behind a PROXY protocol header for a unix socket. */
export const UNKNOWN = "unknown";

/** The maximum number of hops that are read and forwarded; those beyond it, on the client's side, are dropped. */
const MAX_HOPS = 64;
/** The longest node: `[`, 45 characters of IPv6 with a zone, `]`, a port. */
const MAX_NODE_LENGTH = 100;

const HOST = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
/** 253 characters of name (RFC 1035) and a port. */
const MAX_HOST_LENGTH = 259;
/** Visible ASCII, so that an id can break neither a log line nor a field; traces use at most 128 characters. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const VISIBLE = /^[\x21-\x7e]{1,100}$/;
/** Without a semicolon, which would end the Path of a cookie and begin another attribute, such as Domain. */
const PREFIX = /^(?:\/[\w.~!$&'()*+=:@%-]+)+$/;
const MAX_PREFIX_LENGTH = 1_024;

/** The facts about a request that do not depend on what its sender claims. */
export interface ArrivedRequest {
  /** The connection's remote address, `UNIX_PEER`, or undefined when a proxy's header names no address. */
  readonly peer: string | undefined;
  readonly tls: boolean;
  readonly rawHeaders: RawFields;
  /** The Host field, or the authority that replaces it. */
  readonly host: string;
}

/** The sender of a request, according to its connection and to trusted proxies. */
export interface Client {
  /** A canonical IP address; `unix:` or `unknown` when there is none. */
  readonly address: string;
  readonly proto: "http" | "https";
  readonly host: string;
  /**
   * The source of `host`: X-Forwarded-Host or Forwarded of a trusted proxy, or the Host field. It is unclear if a trusted
   * proxy reports another scheme than its own but no host: its Host field may name the client's host, or this gateway.
   */
  readonly hostSource: "proxy" | "field" | "unclear";
  /** A trusted proxy's X-Forwarded-Port; undefined without a valid one. */
  readonly forwardedPort: string | undefined;
  /** The path that trusted proxies have removed, from X-Forwarded-Prefix: empty, or such as `/app` without a final slash. */
  readonly forwardedPrefix: string;
  /** The X-Forwarded-For for the backend. */
  readonly forwardedFor: string;
  /** A trusted proxy's X-Request-Id; undefined if sluice has to make one. */
  readonly requestId: string | undefined;
  /** Whether the peer is a trusted proxy, whose forwarding fields were used. */
  readonly isTrusted: boolean;
}

/** The trusted proxies. */
export interface Trust {
  isTrusted(peer: string | undefined): boolean;
  resolveClient(request: ArrivedRequest): Client;
}

/** Compiles `trustedProxies`; the configuration has checked that they are addresses or CIDR ranges. */
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
      return untrusted(own, proto, request.host);
    }
    const chain = chainOf(rawHeaders);
    const { address, hop } = walk(chain, own, isTrusted);
    const clientProto = readProto(firstItem(rawHeaders, "x-forwarded-proto") ?? hop?.proto) ?? proto;
    const host = readHost(firstItem(rawHeaders, "x-forwarded-host") ?? hop?.host);
    const ofField = clientProto === proto ? "field" : "unclear";
    return {
      address: ownText(address),
      proto: clientProto,
      host: host ?? request.host,
      hostSource: host === undefined ? ofField : "proxy",
      forwardedPort: readPort(firstItem(rawHeaders, "x-forwarded-port")),
      forwardedPrefix: readPrefix(fieldValues(rawHeaders, "x-forwarded-prefix")),
      forwardedFor: sendOn(chain, own),
      requestId: readRequestId(rawHeaders),
      isTrusted: true,
    };
  }

  return { isTrusted, resolveClient };
}

function untrusted(address: string, proto: Client["proto"], host: string): Client {
  return {
    address,
    proto,
    host,
    hostSource: "field",
    forwardedPort: undefined,
    forwardedPrefix: "",
    forwardedFor: address,
    requestId: undefined,
    isTrusted: false,
  };
}

/**
 * Returns the canonical form of an address as proxies write it: with a port, in brackets, with a zone, or as
 * IPv4-mapped IPv6. Returns undefined for any other text, such as `unknown`.
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
  /** Whether the set holds a `Client.address`; false for an address that is not an IP address. */
  has(address: string): boolean;
}

/** Compiles addresses and CIDR ranges; the configuration has checked them. */
export function createRanges(cidrs: readonly string[]): Ranges {
  const ranges = compileRanges(cidrs);
  return { has: (address) => isIP(address) !== 0 && ranges.check(address, familyOf(address)) };
}

/**
 * Returns the unit that counts as one client: an IPv4 address, or the /64 network of an IPv6 address, because the owner
 * of an address of a /64 has all 2^64 of them. Takes any `Client.address`; returns one that is not IPv6 unchanged.
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
    if (address === undefined) throw new TypeError(`neither an address nor a CIDR range: ${cidr}`);
    const family = familyOf(address);
    // readAddress has turned ::ffff:10.0.0.0/104 into 10.0.0.0, without the first 96 bits.
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

/** Returns the hops of X-Forwarded-For, else of Forwarded, else of X-Real-IP; the client's hop is the first. */
function chainOf(raw: RawFields): Hop[] {
  const nodes = lastNodes(fieldValues(raw, "x-forwarded-for"));
  if (nodes.length > 0) return nodes.map(hopAt);
  const forwarded = fieldValues(raw, "forwarded");
  if (forwarded.length > 0) return (parseForwarded(forwarded) ?? []).slice(-MAX_HOPS);
  const realIp = fieldValues(raw, "x-real-ip");
  return realIp.length === 1 ? realIp.map(hopAt) : [];
}

/**
 * Returns the last `MAX_HOPS` nodes of the lists. Reads from the end: a client may write anything at the front, and 16
 * KiB of commas would be split into 16,000 strings.
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
 * Returns the client: walks from the peer over trusted addresses to the first untrusted one. The nodes left of it were
 * written by that client. At an unreadable node, returns the last address before it.
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
  // A backend expects IP addresses in this field; the path of a unix socket would be of no use.
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

/** Returns a port as proxies report it; undefined for any other text. */
function readPort(text: string | undefined): string | undefined {
  return text !== undefined && /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? text : undefined;
}

/** Returns the prefixes of all proxies as one path; empty if one of them is no path, or if they are too long. */
function readPrefix(values: readonly string[]): string {
  const all = values.join(",");
  if (all.length > MAX_PREFIX_LENGTH) return "";
  const parts = all.split(",");
  const path = parts.map((part) => withoutFinalSlashes(part.trim())).join("");
  return PREFIX.test(path) && pathFault(path) === undefined ? path : "";
}

function readRequestId(raw: RawFields): string | undefined {
  const [id, ...more] = fieldValues(raw, "x-request-id");
  return id !== undefined && more.length === 0 && REQUEST_ID.test(id) ? id : undefined;
}
