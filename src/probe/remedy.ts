import type { Cut } from "./ending.ts";
import type { Family, Software } from "./software.ts";
import type { SymptomKind } from "./symptom.ts";

/** The change that the user can make. */
export interface Remedy {
  /** One sentence. */
  readonly text: string;
  /** The line of configuration, if the program is known. */
  readonly directive: string | undefined;
  /** The rule of `sluice nginx lint` that finds the line. */
  readonly rule: string | undefined;
}

/** The facts about a delay besides its kind. */
export interface Circumstances {
  readonly software: Software | undefined;
  /** The content coding of the late response. */
  readonly coding: string | undefined;
  /** A trial without compression was prompt. */
  readonly isPromptUncompressed: boolean;
  /** A trial over HTTP/2 was prompt, and HTTP/1.1 over TLS is late. */
  readonly isTlsBuffer: boolean;
  /** A trial that bypassed the cache was prompt. */
  readonly isLocked: boolean;
  /** The delay of a typical late event, in ms. */
  readonly lagMs: number;
}

/** Creates a remedy without a line of configuration. */
export const plainRemedy = (text: string): Remedy => ({ text, directive: undefined, rule: undefined });

const remedy = (text: string, directive?: string, rule?: string): Remedy => ({ text, directive, rule });

/** Returns the most likely remedy for a delay. */
export function remedyFor(kind: SymptomKind, facts: Circumstances): Remedy {
  const { software, coding } = facts;
  const family = software?.family;
  if (facts.isLocked) return cacheRemedy(family, "proxy_cache_lock off;", "cache-lock-holds");
  if (kind === "replayed") return cacheRemedy(family, "proxy_cache off;", "stream-cached");
  const isCompressor = facts.isPromptUncompressed || (coding !== undefined && !mayBuffer(family));
  return isCompressor ? compressionRemedy(family, coding) : bufferRemedy(kind, family, facts);
}

/** Caddy and HAProxy do not buffer responses; their compressors do. */
const mayBuffer = (family: Family | undefined): boolean => family !== "caddy" && family !== "haproxy";

function cacheRemedy(family: Family | undefined, directive: string, rule: string): Remedy {
  if (isNginx(family)) return remedy("keep streams out of the cache", directive, rule);
  return remedy("keep streams out of the cache in front; the backend can send Cache-Control: no-store");
}

function compressionRemedy(family: Family | undefined, coding = "gzip"): Remedy {
  switch (family) {
    case "caddy":
      return remedy(
        "remove text/event-stream from encode, or update Caddy: newer versions flush each event",
        "encode gzip { match { header Content-Type text/html* } }",
      );
    case "haproxy":
      return remedy("remove text/event-stream from the compressed types", "compression type text/html");
    case "nginx":
    case undefined:
      return remedy(
        `${ifUnknown(family)}${coding} holds back events while buffering is on, so do not compress streams there`,
        "gzip off;",
        "compressed-while-buffered",
      );
    default:
      return remedy(`switch ${coding} off for text/event-stream there`);
  }
}

function bufferRemedy(kind: SymptomKind, family: Family | undefined, facts: Circumstances): Remedy {
  if (family === "haproxy" || (family === undefined && isCorked(kind, facts))) {
    // Linux sends a packet that was written with MSG_MORE after 200 ms.
    const who = family === undefined ? "if HAProxy is there: " : "";
    return remedy(`${who}it waits 200 ms for more bytes before it sends a packet`, "option http-no-delay");
  }
  if (family === "nginx" || family === undefined) {
    return remedy(
      `${ifUnknown(family)}in the location that proxies the stream, as ${bufferReason(kind, facts)}; X-Accel-Buffering: no from the backend does the same`,
      "proxy_buffering off;",
      "response-buffered",
    );
  }
  if (family === "apache")
    return remedy("forward each event at once", "ProxyPass … flushpackets=on", undefined);
  if (family === "caddy") return remedy("forward each event at once", "flush_interval -1", undefined);
  if (family === "cloudflare")
    return remedy(
      "the rules for this path must not buffer or rewrite responses; the type must be text/event-stream",
    );
  return remedy("switch response buffering off there, for this path");
}

const ifUnknown = (family: Family | undefined): string => (family === undefined ? "if nginx is there: " : "");

function bufferReason(kind: SymptomKind, { isTlsBuffer }: Circumstances): string {
  if (isTlsBuffer) return "buffering fills TLS records of 16 kB for HTTP/1.1 clients";
  if (kind === "tail") return "a buffer of 4 kB holds back the end of larger events";
  if (kind === "head") return "buffering holds back the response head until an event follows";
  return "response buffering gathers events";
}

/** How long Linux delays a packet written with MSG_MORE, in ms, and the tolerance. */
const CORK_MS = 200;
const CORK_SPREAD_MS = 40;

const isCorked = (kind: SymptomKind, { lagMs }: Circumstances): boolean =>
  (kind === "in-groups" || kind === "late" || kind === "all-at-once") &&
  Math.abs(lagMs - CORK_MS) <= CORK_SPREAD_MS;

/** Returns the remedy for a stream that is cut. */
export function cutRemedy(software: Software | undefined, cut: Cut): Remedy {
  const family = software?.family;
  const seconds = Math.round(cut.silentSeconds);
  const silent = cut.silentSeconds >= 0.8 * cut.afterSeconds || cut.silentSeconds >= 0.5;
  const beat = silent ? "send heartbeats more often than that (sluice sends one every 15 s), or " : "";
  if (family === "nginx" || family === undefined) {
    const longer = `${ifUnknown(family)}${beat}allow a longer silence`;
    return remedy(longer, "proxy_read_timeout 1h;", "read-timeout-cuts-silence");
  }
  if (family === "haproxy") return remedy(`${beat}allow a longer silence`, "timeout server 1h");
  if (family === "envoy") return remedy(`${beat}remove the route's timeout`, "timeout: 0s");
  return remedy(`${beat}allow more than ${Math.max(1, seconds)} s there`);
}

const isNginx = (family: Family | undefined): boolean => family === "nginx" || family === undefined;
