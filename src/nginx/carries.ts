import type { Directive } from "./directive.ts";
import type { Level } from "./level.ts";
import { modifierOf, pathOf } from "./locations.ts";
import type { Comment } from "./source-file.ts";
import type { Family } from "./target.ts";
import { parseTime } from "./units.ts";

/**
 * Whether a location carries event streams: `declared` by its path, a comment or its target; `likely` by its
 * settings; `possible` for every other proxied location; `websocket` if it upgrades connections; `none` if it
 * proxies nothing or is `internal`.
 */
export type Carries = "declared" | "likely" | "websocket" | "possible" | "none";

export interface Carried {
  readonly carries: Carries;
  /** The reason in words, such as `the path says events`. */
  readonly why: string;
}

const STREAM_WORDS: ReadonlySet<string> = new Set(
  "sse event events eventsource eventstream stream streams streaming mcp mercure completions chat messages responses".split(
    " ",
  ),
);
/** The stream words that WebSocket paths use too: a location that upgrades counts as a WebSocket. */
const AMBIGUOUS_WORDS: ReadonlySet<string> = new Set(
  "event events stream streams streaming messages chat".split(" "),
);
/** Words of ordinary paths: they win over a stream word in the same path, as in `/stream/health`. */
const ORDINARY_WORDS: ReadonlySet<string> = new Set(
  "oauth oauth2 callback login logout auth token authorize register assets static uploads images health healthz metrics docs redoc openapi library media video videos audio hls".split(
    " ",
  ),
);
const WEBSOCKET_WORDS: ReadonlySet<string> = new Set(
  "ws wss wsapp websocket websockets websockify sockjs cable signalr".split(" "),
);
/** Words that mean a WebSocket only where the location upgrades connections. */
const WEAK_WORDS: ReadonlySet<string> = new Set("live hub hubs realtime notifications socket".split(" "));

const STREAM_COMMENT =
  /\bSSE\b|\bevent[- ]?streams?\b|\bserver[- ]sent\b|\bEventSource\b|\bstreaming\b|\bLLMs?\b/i;
/** Comments about media or logs: those streams are not event streams and need buffering. */
const MEDIA_COMMENT = /\b(?:video|audio|media|movie|music|hls|dash|mp4|rtmp|log)s?\b/i;
const LONG_MS = 30 * 60_000;

/** Returns what a location carries; `isStream` is true for a location that the user or a route names. */
export function whatItCarries(location: Level, family: Family | undefined, isStream = false): Carried {
  if (family === undefined || location.own("internal").length > 0) return { carries: "none", why: "" };
  if (isStream) return { carries: "declared", why: "named as a stream" };
  const text = textInside(location);
  if (/x-accel-buffering|text\/event-stream/i.test(text)) {
    return { carries: "declared", why: "it mentions X-Accel-Buffering or text/event-stream" };
  }
  const words = wordsOf(location);
  const webSocket = words.find((word) => WEBSOCKET_WORDS.has(word)) ?? socketIo(location);
  if (webSocket !== undefined) return { carries: "websocket", why: `the path says ${webSocket}` };
  const isOrdinary = words.some((each) => ORDINARY_WORDS.has(each));
  const word = isOrdinary ? undefined : words.find((each) => STREAM_WORDS.has(each));
  const isUpgraded = location.own("proxy_set_header").some(({ args }) => /^upgrade$/i.test(args[0] ?? ""));
  if (word !== undefined && isUpgraded && AMBIGUOUS_WORDS.has(word)) {
    return { carries: "websocket", why: `the path says ${word} and the location upgrades` };
  }
  if (word !== undefined) return { carries: "declared", why: `the path says ${word}` };
  const comment = commentsOf(location).find(isAboutStreams);
  if (comment !== undefined) return { carries: "declared", why: `a comment says "${excerpt(comment.text)}"` };
  const weak = words.find((each) => WEAK_WORDS.has(each));
  if (weak !== undefined && /\bupgrade\b/i.test(text)) {
    return { carries: "websocket", why: `the path says ${weak} and the location upgrades` };
  }
  const likely = isOrdinary ? undefined : likelyBySettings(location, family, isUpgraded);
  return likely === undefined
    ? { carries: "possible", why: "it is proxied" }
    : { carries: "likely", why: likely };
}

/** Returns the text of all directives of the location and of its inner `if` blocks, without nested locations. */
function textInside(location: Level): string {
  const own = location.directives.filter(({ name }) => name !== "location");
  const inner = location.levels.filter(({ kind }) => kind === "if" || kind === "limit_except");
  return [...own, ...inner.flatMap(({ directives }) => directives)]
    .map(({ name, value }) => `${name} ${value}`)
    .join("\n");
}

function wordsOf(location: Level): string[] {
  if (modifierOf(location) === "@") return [];
  return pathOf(location)
    .replace(/\\./g, " ")
    .toLowerCase()
    .split(/[^a-z0-9]+/);
}

const socketIo = (location: Level): string | undefined =>
  /\b(?:socket|engine)\\?\.io\b/i.test(pathOf(location)) ? "socket.io" : undefined;

function likelyBySettings(location: Level, family: Family, isUpgraded: boolean): string | undefined {
  if (bufferingOf(location, family) === "on" || isObjectStore(location)) return undefined;
  if (location.last(`${family}_buffering`)?.value === "off" && !isHouseStyle(location, family))
    return `${family}_buffering is off`;
  if (location.last("chunked_transfer_encoding")?.value === "off") return "chunked_transfer_encoding is off";
  // WebSockets need a long timeout too, so here it does not point to an event stream.
  if (isUpgraded) return undefined;
  const timeout = location.last(`${family}_read_timeout`);
  if (timeout === undefined || (parseTime(timeout.value) ?? 0) <= LONG_MS) return undefined;
  return `${timeout.name} is ${timeout.value}`;
}

/** With fewer proxied locations in a server, `buffering off` in most of them still points to streams. */
const MANY_LOCATIONS = 5;

/** Cached per block and family, because each location of the block needs the result. */
const houseStyles = new WeakMap<Level, Map<Family, boolean>>();

/** Whether buffering is off in at least three quarters of the locations: then it does not point to a stream. */
function isHouseStyle({ outer }: Level, family: Family): boolean {
  if (outer === undefined) return false;
  const styles = houseStyles.get(outer) ?? new Map<Family, boolean>();
  houseStyles.set(outer, styles);
  const known = styles.get(family);
  if (known !== undefined) return known;
  const proxied = outer.levels.filter((level) => level.last(`${family}_pass`) !== undefined);
  const off = proxied.filter((level) => level.last(`${family}_buffering`)?.value === "off");
  const isStyle = proxied.length >= MANY_LOCATIONS && off.length * 4 >= proxied.length * 3;
  styles.set(family, isStyle);
  return isStyle;
}

/** Returns the effective value of buffering; undefined for the default. */
function bufferingOf(location: Level, family: Family): string | undefined {
  for (const level of location.outward()) {
    const found = level.last(`${family}_buffering`);
    if (found !== undefined) return found.value;
  }
  return undefined;
}

/** MinIO's manual switches chunked encoding and buffering off, but its objects are not event streams. */
const isObjectStore = (location: Level): boolean =>
  /(?:^|[^a-z])(?:minio|s3)(?:[^a-z]|$)/i.test(location.last("proxy_pass")?.value ?? "");

/** Returns the comments in the block and directly above it, without those of nested locations. */
function commentsOf({ directive, levels }: Level): Comment[] {
  if (directive?.opened === undefined) return [];
  const nested = new Set<Comment>();
  for (const inner of levels) {
    if (inner.kind !== "location" || inner.directive?.file !== directive.file) continue;
    for (const comment of [...commentsAbove(inner.directive), ...commentsInside(inner.directive)]) {
      nested.add(comment);
    }
  }
  const inside = commentsInside(directive).filter((comment) => !nested.has(comment));
  return [...commentsAbove(directive), ...inside];
}

/** Returns the comments from the start of a directive to the end of its last line. */
function commentsInside({ file, start, end }: Directive): Comment[] {
  const from = firstBehind(file.comments, start);
  return file.comments.slice(from, firstBehind(file.comments, file.lineEnd(end)));
}

/** Returns the comment lines directly above a directive. */
export function commentsAbove({ file, start }: Directive): Comment[] {
  const above: Comment[] = [];
  let edge = file.lineStart(start);
  for (let at = firstBehind(file.comments, edge) - 1; at >= 0; at -= 1) {
    const comment = file.comments[at];
    if (comment === undefined || comment.end + 1 !== edge) break;
    edge = file.lineStart(comment.start);
    // A comment at the end of a directive's line belongs to that directive.
    if (file.slice(edge, comment.start).trim() !== "") break;
    above.push(comment);
  }
  return above.reverse();
}

/** Returns the index of the first comment that starts at or after an offset. */
function firstBehind(comments: readonly Comment[], offset: number): number {
  let low = 0;
  let high = comments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((comments[middle]?.start ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether a comment is about event streams; a directive that was commented out does not count. */
const isAboutStreams = ({ text }: Comment): boolean =>
  STREAM_COMMENT.test(text) && !MEDIA_COMMENT.test(text) && !/[;{}]\s*$/.test(text);

const excerpt = (text: string): string => {
  const plain = text.replace(/^#+\s*/, "").trim();
  return plain.length > 60 ? `${plain.slice(0, 57)}...` : plain;
};
