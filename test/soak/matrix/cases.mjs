import { drawAnswer } from "./answers.mjs";
import { drawSplits, GARBAGE, randomOf } from "./random.mjs";

/**
 * A case is one connection of a client: its transport, protocol, requests, the backend's responses, and the faults of
 * each side. Everything is drawn from the seed and the case's number.
 */

/**
 * `one`: a process with histories in memory; `redis`: a process with Redis; `two`: two workers with the same Redis.
 */
const GATEWAYS = { one: 4, two: 4, redis: 2 };
const TRANSPORTS = ["tcp", "tls", "unix", "proxy"];
const CLIENTS = { plain: 3, node: 4, old: 4, pipelined: 6, http2: 4, websocket: 3 };
const ROUTES = { relay: 4, shared: 4, forward: 4, mock: 2, polling: 2, ticket: 2 };
/** Streams that several cases share. */
const COMMON_STREAMS = 12;

const ODD_FIELDS = [
  "Accept: text/event-stream, */*",
  "TE: trailers, deflate",
  "Connection: keep-alive, x-a",
  "Connection: close",
  "X-Bytes: \xe9\xff",
  "Cookie: a=b",
  "Cookie: c=d",
  "Last-Event-ID: 3",
  "Last-Event-ID: nothing",
  "X-Empty:",
  "x-lower:  padded  ",
  "Range: bytes=0-1",
  'If-None-Match: "a"',
  "Accept-Encoding: gzip",
  "X-Apig-Mode: debug",
  "Expect: 100-continue",
  "Expect: something",
  "Trailer: X-Sum",
  "Content-Length: 0",
  "X_App_Id: a",
  "Forwarded: for=1.2.3.4",
  `X-Long: ${"y".repeat(3_000)}`,
];

const ILLEGAL_FIELDS = [
  "Host: b",
  "Content-Length: 1x",
  "Content-Length: 5\r\nContent-Length: 6",
  "Transfer-Encoding: chunked\r\nContent-Length: 5",
  "Transfer-Encoding: gzip",
  "X-Nul: a\0b",
  "X Space: a",
  ": a",
  "X-Fold: a\r\n b",
  `X-Huge: ${"y".repeat(20_000)}`,
];

const REQUEST_TRAILERS = [
  "X-Sum: 1",
  "ETag: a",
  "ETag: b",
  "X-App-Id: a",
  "Content-Length: 3",
  "X-Nul: a\0b",
  "Bad Name: a",
];

export function drawCase(seed, index) {
  const random = randomOf(seed, index);
  const client = random.weighted(CLIENTS);
  const transport = random.one(TRANSPORTS);
  const mayBeMany = client === "pipelined" || client === "http2" || random.chance(0.2);
  const count = client === "pipelined" ? 2 + random.upTo(3) : mayBeMany ? 1 + random.upTo(3) : 1;
  const requests = Array.from({ length: count }, (_, at) =>
    drawRequest(random, client, `${index}.${at}`, at),
  );
  return {
    seed,
    index,
    gateway: random.weighted(GATEWAYS),
    transport,
    // ALPN selects HTTP/2, so it is used on each transport with TLS.
    isTls: transport === "tls" || client === "http2" || (transport !== "tcp" && random.chance(0.2)),
    client,
    address: random.one(["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
    // Together in one write, or each after the response to the previous.
    isTogether: client === "pipelined" || client === "http2" ? random.chance(0.85) : false,
    requests,
    fault: drawFault(random, client),
    redis: drawRedisFault(random, requests),
    splits: drawSplits(random, 600),
    patienceMs: 60 + random.upTo(random.chance(0.15) ? 900 : 200),
  };
}

function drawRequest(random, client, name, at) {
  const isWebSocket = client === "websocket" && (at === 0 || random.chance(0.5));
  const route = isWebSocket && random.chance(0.85) ? "socket" : random.weighted(ROUTES);
  const isPlain = client === "plain";
  const upgrade = isWebSocket
    ? "websocket"
    : client === "pipelined" && at > 0 && random.chance(0.45)
      ? random.weighted({ foo: 4, h2c: 2, websocket: 2 })
      : client === "node" && random.chance(0.2)
        ? random.weighted({ foo: 1, h2c: 1, websocket: 1 })
        : undefined;
  const method = isPlain || upgrade !== undefined ? "GET" : drawMethod(random);
  const hasBody =
    ["POST", "PUT", "DELETE", "GET"].includes(method) &&
    !isPlain &&
    random.chance(method === "GET" ? 0.08 : 0.8);
  const stream = route === "shared" || route === "polling" ? streamName(random, name) : name;
  const isDrained = route === "relay" && random.chance(0.15);
  return {
    name,
    route: upgrade === "websocket" && route !== "socket" && random.chance(0.5) ? "socket" : route,
    stream,
    isDrained,
    method,
    upgrade,
    body: hasBody ? drawBody(random) : undefined,
    acceptsStream: random.chance(0.6),
    poll: random.one([
      "transport=polling",
      "transport=long-polling&timeout=100ms",
      "transport=long-polling&lastEventId=2",
    ]),
    resume: random.chance(0.2) ? random.one(["?lastEventId=1", "?lastEventId=%00", "?lastEventId=gone"]) : "",
    mock: random.one(["fixed", "stream", "gone"]),
    ticket: random.weighted({ good: 6, bad: 1, twice: 1, code: 2 }),
    fields: isPlain ? [] : random.chance(0.4) ? random.some(ODD_FIELDS, 4) : [],
    illegal: !isPlain && random.chance(0.06) ? random.one(ILLEGAL_FIELDS) : undefined,
    answer:
      stream === name
        ? drawAnswer(random, { name, isStream: route !== "forward", mayStay: !isDrained })
        : undefined,
  };
}

const drawMethod = (random) =>
  random.weighted({
    GET: 55,
    HEAD: 12,
    POST: 16,
    PUT: 4,
    DELETE: 4,
    OPTIONS: 3,
    CONNECT: 3,
    TRACE: 1,
    "GE T": 0.5,
  });

const drawBody = (random) => ({
  framing: random.one(["length", "chunked"]),
  length: random.upTo(random.chance(0.1) ? 40_000 : 300),
  trailers: random.chance(0.4) ? random.some(REQUEST_TRAILERS, 3) : [],
});

/** Most cases have their own stream; a common stream has clients of other cases too. */
const streamName = (random, name) => (random.chance(0.3) ? `common${random.upTo(COMMON_STREAMS - 1)}` : name);

/** The response of a stream that several cases share. */
export const drawCommonAnswer = (seed, name) =>
  drawAnswer(randomOf(seed, -Number(name.slice("common".length)) - 2), {
    name,
    isStream: true,
    mayStay: true,
  });

function drawFault(random, client) {
  const kind = random.weighted({
    none: 30,
    leave: 16,
    reset: 14,
    garbage: 16,
    halfClose: 8,
    stallSend: 5,
    stallRead: 6,
    frames: client === "http2" ? 12 : 0,
  });
  const when = random.weighted({ sent: 4, received: 3, ms: 4, answered: 4, connected: 0.5 });
  return {
    kind,
    when,
    /** A share of the bytes sent, because their number is not known yet. */
    share: random.upTo(1_000) / 1_000,
    bytes: random.upTo(random.chance(0.5) ? 400 : 3_000),
    ms: random.upTo(random.chance(0.5) ? 10 : 120) + random.upTo(9) / 10,
    garbage: random.one(GARBAGE),
    frames: random.one([
      "reset",
      "resetAll",
      "goaway",
      "idleData",
      "zeroWindow",
      "badHead",
      "settings",
      "noWindow",
      "ping",
    ]),
  };
}

/** The data that another instance writes into Redis, or Redis's replies, while this case runs. */
function drawRedisFault(random, requests) {
  if (!requests.some(({ route }) => route === "shared" || route === "polling")) return undefined;
  if (!random.chance(0.15)) return undefined;
  return { ms: random.upTo(60), choice: random.upTo(1_000_000) };
}

/** Describes a case in one line, for reports. */
export function describeCase({
  index,
  gateway,
  transport,
  isTls,
  client,
  isTogether,
  requests,
  fault,
  redis,
}) {
  const asked = requests.map(({ method, route, upgrade, body, answer, stream, name }) =>
    [
      method,
      route,
      upgrade === undefined ? "" : `Upgrade: ${upgrade}`,
      body === undefined ? "" : `${body.framing} body`,
      answer === undefined ? stream : `backend ${answer.fault.kind}`,
      stream === name ? "" : "common",
    ]
      .filter((word) => word !== "")
      .join(" "),
  );
  const where = `${gateway} ${transport}${isTls && transport !== "tls" ? "+tls" : ""} ${client}`;
  const faults = `client ${fault.kind} (${fault.when})${redis === undefined ? "" : ", Redis"}`;
  return `${index}: ${where}${isTogether ? " together" : ""}: ${asked.join(" | ")}; ${faults}`;
}
