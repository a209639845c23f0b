import { brotliCompressSync, constants, crc32, deflateSync, gzipSync } from "node:zlib";
import { drawSplits, GARBAGE } from "./random.mjs";

/** Draws the backend's behaviour for one request: the bytes of its response, its writes, and its fault. */

const ORDINARY_FIELDS = [
  ["Cache-Control", "max-age=1"],
  ["ETag", '"a"'],
  ["Vary", "Accept"],
  ["Set-Cookie", "a=b"],
  ["Server", "matrix"],
];

/** Repeated single-valued fields, connection fields, and fields that parsers should refuse. */
const ODD_FIELDS = [
  ["ETag", '"b"'],
  ["ETag", '"c"'],
  ["Content-Type", "text/html"],
  ["Location", "/a"],
  ["Location", "/b"],
  ["Date", "never"],
  ["Connection", "x-mark, etag"],
  ["Connection", "close"],
  ["Keep-Alive", "timeout=0"],
  ["Proxy-Authenticate", "Basic"],
  ["Upgrade", "foo"],
  ["Trailer", "ETag"],
  ["Retry-After", "0"],
  ["Content-Length", "3"],
  ["Content-Length", "-1"],
  ["Transfer-Encoding", "gzip, chunked"],
  ["Transfer-Encoding", "chunked"],
  ["X-Accel-Redirect", "/a"],
  ["X-Bytes", "\xe9\xff"],
  ["X-Nul", "a\0b"],
  ["X-Return", "a\rb"],
  ["X Space", "a"],
  ["", "no name"],
  ["X-Long", "y".repeat(20_000)],
  [":status", "200"],
  ["X-Fold", "a\r\n b"],
];

const TRAILERS = [
  ["ETag", '"a"'],
  ["ETag", '"b"'],
  ["Content-Type", "text/a"],
  ["Content-Type", "text/b"],
  ["Location", "/a"],
  ["Set-Cookie", "t=1"],
  ["Set-Cookie", "t=2"],
  ["X-Sum", "1"],
  ["x-sum", "2"],
  ["Content-Length", "3"],
  ["Transfer-Encoding", "chunked"],
  ["Connection", "close"],
  ["Upgrade", "foo"],
  ["Host", "a"],
  ["TE", "gzip"],
  [":status", "500"],
  [":path", "/"],
  ["X-Bytes", "\xe9"],
  ["X-Nul", "a\0b"],
  ["Bad Name", "a"],
  ["", "a"],
];

const INTERIM = [
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 102 Processing\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </b>\r\nConnection: close\r\nETag: 1\r\nETag: 2\r\n\r\n",
  "HTTP/1.1 199 What\r\nContent-Length: 3\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n",
];

const STATUSES = {
  200: 60,
  204: 5,
  304: 5,
  206: 2,
  301: 3,
  404: 4,
  429: 2,
  500: 3,
  503: 4,
  205: 1,
  999: 1,
  "099": 1,
  600: 1,
};

/** The compressors of event streams, by Content-Encoding. */
const COMPRESSORS = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: (body) => brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
};

/**
 * The mark of the request in its response: a client that finds another request's mark has found a mix-up. It has a
 * checksum, because garbage in a compressed body may change one name into another before the decoder notices.
 */
export const markOf = (name) => `[[${name}:${crc32(name)}]]`;

/** Returns the names of all marks in a text whose checksum is right. */
export const markedIn = (text) =>
  [...text.matchAll(/\[\[([\w.]+):\d+\]\]/g)]
    .filter(([mark, name]) => mark === markOf(name))
    .map(([, name]) => name);

/** The mark of the response's end. */
export const endOf = (name) => `((end ${name}))`;

function streamBody(random, name) {
  const events = Array.from({ length: random.upTo(8) }, (_, at) => {
    const fields = random.chance(0.8) ? `id: ${at + 1}\n` : "";
    const retry = random.chance(0.05) ? "retry: 20\n" : "";
    return `${fields}${retry}data: ${markOf(name)} ${"z".repeat(random.upTo(200))}\n\n`;
  });
  return `${random.chance(0.1) ? "\ufeff" : ""}${events.join("")}${random.chance(0.2) ? "data: half" : ""}`;
}

function textBody(random, name) {
  const isBig = random.chance(0.004);
  return `${markOf(name)}${"z".repeat(isBig ? 8 * 2 ** 20 : random.upTo(2_000))}${endOf(name)}`;
}

function chunked(random, body, trailers) {
  const parts = [];
  for (let at = 0; at < body.length; ) {
    const length = Math.min(body.length - at, body.length > 10_000 ? 65_536 : 1 + random.upTo(300));
    const extension = random.chance(0.03) ? ";a=b" : "";
    parts.push(`${length.toString(16)}${extension}\r\n${body.slice(at, at + length)}\r\n`);
    at += length;
  }
  return `${parts.join("")}0\r\n${lines(trailers)}\r\n`;
}

const lines = (fields) => fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");

/** The parts of a response: `isStream` for an event stream, `mayStay` for one that may have no end. */
export function drawAnswer(random, { name, isStream, mayStay }) {
  const status = random.chance(0.7) ? "200" : random.weighted(STATUSES);
  const framing = random.weighted({ chunked: 6, length: isStream ? 1 : 5, close: 3, none: 0.3 });
  const isEvents = isStream ? random.chance(0.9) : random.chance(0.1);
  const stays = mayStay && isEvents && framing !== "length" && random.chance(0.4);
  const text = Buffer.from(isEvents ? streamBody(random, name) : textBody(random, name));
  const coding = isEvents && !stays && random.chance(0.2) ? random.one(Object.keys(COMPRESSORS)) : undefined;
  const body = (coding === undefined ? text : COMPRESSORS[coding](text)).toString("latin1");
  const fields = [
    ["X-Mark", name],
    ["Content-Type", isEvents ? "text/event-stream" : "text/plain"],
    ...(coding === undefined ? [] : [["Content-Encoding", coding]]),
    ...random.some(ORDINARY_FIELDS, 3),
    ...(random.chance(0.15) ? random.some(ODD_FIELDS, 3) : []),
  ];
  const trailers = framing === "chunked" && random.chance(0.3) ? random.some(TRAILERS, 4) : [];
  // Of all that can be drawn twice, what Node's HTTP/2 throws at.
  if (trailers.length > 0 && random.chance(0.2)) trailers.push(["ETag", '"a"'], ["ETag", '"b"']);
  if (trailers.length > 0 && random.chance(0.7))
    fields.push(["Trailer", trailers.map(([key]) => key).join(", ")]);
  else if (random.chance(0.05)) fields.push(["Trailer", "ETag"]);
  if (framing === "length")
    fields.push(["Content-Length", body.length + (random.chance(0.1) ? random.upTo(9) - 4 : 0)]);
  if (framing === "chunked") fields.push(["Transfer-Encoding", "chunked"]);
  const interim = random.chance(0.1) ? random.one(INTERIM).repeat(random.chance(0.2) ? 30 : 1) : "";
  const version = random.chance(0.05) ? "1.0" : "1.1";
  const head = `${interim}HTTP/${version} ${status} Fine\r\n${lines(fields)}\r\n`;
  const whole = framing === "chunked" ? chunked(random, body, trailers) : body;
  // A stream without an end has no last chunk.
  const sent = stays && framing === "chunked" ? whole.slice(0, whole.lastIndexOf("0\r\n")) : whole;
  const wire = Buffer.from(head + (framing === "none" ? "" : sent), "latin1");
  return {
    ...withFault(random, wire, head.length),
    isHeadOnly: status === "204" || status === "304",
    isChunked: framing === "chunked",
    after: stays ? "stay" : framing === "close" || random.chance(0.1) ? "close" : "keep",
    delayMs: random.chance(0.5) ? 0 : random.upTo(random.chance(0.3) ? 200 : 20),
    isEarly: random.chance(0.2),
    // The backend of a WebSocket accepts it, or responds like any other.
    joins: random.chance(0.7),
  };
}

/** The bytes with their fault, and the places where they are split. */
function withFault(random, wire, headLength) {
  const kind = random.weighted({
    none: 50,
    cut: 14,
    reset: 10,
    garbage: 6,
    halfClose: 4,
    stall: 5,
    surplus: 3,
    nothing: 2,
  });
  const isInBody = random.chance(0.6);
  const at = isInBody
    ? headLength + random.upTo(Math.max(0, wire.length - headLength))
    : random.upTo(wire.length);
  const bytes =
    kind === "garbage"
      ? Buffer.concat([wire.subarray(0, at), Buffer.from(random.one(GARBAGE), "latin1"), wire.subarray(at)])
      : kind === "surplus"
        ? Buffer.concat([wire, wire])
        : wire;
  // A pause right behind a whole response lets the connection be reused: what comes then is, for any proxy, the response
  // to the next request.
  const splits = drawSplits(random, wire.length).filter((split) => split.at < wire.length);
  return { wire: bytes, fault: { kind, at: kind === "nothing" ? 0 : at }, splits };
}
