import { expect, test } from "vitest";
import { parseRequest } from "../../src/http/request-parser.ts";
import { type Leaving, outcomeOf, WAYS } from "../support/answers-by-both.ts";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { type LlhttpRequest, readRequestsWithLlhttp } from "../support/llhttp.ts";
import { randomFrom } from "../support/random-bytes.ts";
import { oddRequest } from "../support/random-requests.ts";
import { openRaw } from "../support/raw-client.ts";

// The fast path reads and answers plain GETs without node:http. No client may notice a difference.

/** `npm run soak` sets more. */
const CASES = Number(process.env["FUZZ_CASES"] ?? 250);
const SEED = Number(process.env["FUZZ_SEED"] ?? 3);

const LIMITS = { headerBytes: 16 * 1024, headers: 100 };

/** The backend's responses by the last segment of the path. */
const ANSWERS: Readonly<Record<string, (request: BackendRequest) => void>> = {
  counted: (request) => request.respond(200, { "X-A": "1", "x-a": "2" }, "counted"),
  empty: (request) => request.respond(200, {}, ""),
  missing: (request) => request.respond(404, { "Content-Type": "text/plain" }, "not here"),
  none: (request) => request.send("HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
  same: (request) => request.send('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n'),
  moved: (request) => request.respond(302, { Location: "/counted", "Set-Cookie": ["a=b", "c=d"] }, "moved"),
  phrase: (request) => request.send("HTTP/1.1 299 \xe9ven so\r\nContent-Length: 0\r\n\r\n"),
  dated: (request) =>
    request.respond(200, { Date: "Thu, 01 Jan 1970 00:00:00 GMT", Connection: "close" }, "x"),
  chunked: (request) => {
    request.openStream({ "Content-Type": "text/plain" });
    request.emit("one");
    request.emit("two");
    request.endStream({ "X-Sum": "1" });
  },
  stream: (request) => {
    request.openStream();
    request.emit("data: 1\n\n");
    request.endStream();
  },
  closed: (request) => {
    request.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end");
    request.halfClose();
  },
  short: (request) => {
    request.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort");
    request.halfClose();
  },
  cut: (request) => {
    request.openStream({ "Content-Type": "text/plain" });
    request.emit("cut");
    request.halfClose();
  },
  garbage: (request) => request.send("no HTTP\r\n\r\n"),
  // With some bytes: otherwise the connection could be a stale one, and the request would be retried.
  gone: (request) => {
    request.send("HTTP/1.1 2");
    request.halfClose();
  },
};

async function startBoth() {
  const backend = await startBackend((request) => {
    const kind = /^\/(\w+)/.exec(request.target)?.[1] ?? "counted";
    (ANSWERS[kind] ?? ANSWERS["counted"])?.(request);
  });
  const upstream = backend.url;
  const gateway = await startGateway({
    routes: {
      main: { match: { path: "/*" }, upstream, stream: { prelude: true } },
      asked: { match: { path: "/asked" }, upstream, auth: { app: ["one"] } },
      mocked: { match: { path: "/mocked" }, mock: { body: "mocked" } },
      crossed: { match: { path: "/crossed" }, upstream, cors: { allowOrigins: ["https://a.test"] } },
      posted: { match: { path: "/posted", methods: ["POST"] }, upstream },
    },
    apps: { one: { key: "k", secret: "s".repeat(32) } },
  });
  return { backend, gateway };
}

const get = (target: string, ...lines: string[]) =>
  [`GET ${target} HTTP/1.1`, "Host: $HOST", ...lines, "", ""].join("\r\n");

/** Every kind of response, and every kind of request that the fast path must leave to node:http. */
const CASES_BY_NAME: readonly [name: string, request: string][] = [
  ...Object.keys(ANSWERS).map((kind): [string, string] => [`answer ${kind}`, get(`/${kind}`)]),
  ...Object.keys(ANSWERS).map((kind): [string, string] => [
    `response ${kind}, and close`,
    get(`/${kind}`, "Connection: close"),
  ]),
  ["keep-alive requested", get("/counted", "Connection: keep-alive", "Keep-Alive: timeout=1")],
  ["a stream by its media type", get("/stream", "Accept: text/event-stream", "Last-Event-ID: 7")],
  ["a mock", get("/mocked")],
  ["an unsigned request", get("/asked")],
  ["another origin", get("/crossed", "Origin: https://a.test")],
  ["a denied origin", get("/crossed", "Origin: https://b.test")],
  ["another method", get("/posted")],
  ["a bad target", get("/a/../b")],
  ["no Host", "GET /counted HTTP/1.1\r\n\r\n"],
  ["two Hosts", get("/counted", "Host: b.test")],
  ["a bad Host", "GET /counted HTTP/1.1\r\nHost: a@b\r\n\r\n"],
  ["hop-by-hop fields", get("/counted", "TE: trailers", "Keep-Alive: timeout=5", "Proxy-Authorization: x")],
  ["101 fields", get("/counted", ...Array.from({ length: 100 }, (_, n) => `X-${n}: 1`))],
  ["too large a field", get("/counted", `X: ${"x".repeat(20_000)}`)],
  ["too long a target", get(`/${"x".repeat(20_000)}`)],
  ["HEAD", get("/counted").replace("GET", "HEAD")],
  ["OPTIONS", get("/counted").replace("GET", "OPTIONS")],
  ["HTTP/1.0", get("/counted").replace("HTTP/1.1", "HTTP/1.0")],
  ["HTTP/1.0 that keeps alive", get("/counted", "Connection: keep-alive").replace("HTTP/1.1", "HTTP/1.0")],
  ["absolute-form", get("http://$HOST/counted?a")],
  ["absolute-form of another host", get("http://b.test/counted")],
  ["an upgrade that no route accepts", get("/counted", "Connection: Upgrade", "Upgrade: websocket")],
  ["an upgrade to h2c", get("/counted", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")],
  ["Connection tokens", get("/counted", "Connection: keep-alive, X-Secret", "X-Secret: 1")],
  ["Proxy-Connection", get("/counted", "Proxy-Connection: keep-alive")],
  ["Expect: 100-continue", get("/counted", "Expect: 100-continue")],
  ["another expectation", get("/counted", "Expect: the-moon")],
  ["a body", get("/counted", "Content-Length: 3").concat("abc")],
  ["a body in chunks", get("/counted", "Transfer-Encoding: chunked").concat("3\r\nabc\r\n0\r\n\r\n")],
  ["Content-Length: 0", get("/counted", "Content-Length: 0")],
  ["a folded field", get("/counted", "X: a", " b")],
  ["NUL", get("/counted", "X: a\0b")],
  ["bytes beyond ASCII in a value", get("/counted", "X: caf\xc3\xa9")],
  ["bytes beyond ASCII in the target", get("/caf\xc3\xa9")],
  ["a tab in a value", get("/counted", "X: a\tb")],
  ["bare LFs", get("/counted").replaceAll("\r\n", "\n")],
  ["two requests at once", get("/counted") + get("/missing")],
  [
    "three requests at once, the second closes",
    get("/counted") + get("/stream", "Connection: close") + get("/x"),
  ],
  ["a plain request and one with a body", `${get("/counted")}${get("/x", "Content-Length: 3")}abc`],
  ["a plain request and garbage", `${get("/counted", "Connection: close")}\0\0\r\n\r\n`],
  ["an incomplete head of an unknown method", get("/counted").replace("GET", "GETT").slice(0, -1)],
  ["an incomplete head of a higher version", get("/counted").replace("1.1", "1.2").slice(0, -1)],
  ["a body that never comes, of an unknown method", get("/x", "Content-Length: 3").replace("GET", "GETT")],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
];

const fillIn = (text: string, { host }: GatewayFixture) =>
  Buffer.from(text.replaceAll("$HOST", host), "latin1");

/**
 * Whether the bytes are one complete request whose head ends with the last byte. Bytes after a head that arrive
 * separately may come during the response, or after the close of the connection and cause a reset.
 */
const isOneHead = (bytes: Buffer): boolean => {
  const requests = readRequestsWithLlhttp(bytes);
  if (requests?.length !== 1 || requests[0]?.isComplete !== true) return false;
  return readRequestsWithLlhttp(bytes.subarray(0, -1))?.length === 0;
};

/** A request line with any method and minor version: sluice reads also those that llhttp refuses. */
const ANY_LINE = /^((?:\r\n)*)[\w!#$%&'*+.^`|~-]+ ([!-~]+) HTTP\/1\.\d\r\n/;

function readAsSluice(bytes: Buffer): readonly LlhttpRequest[] | undefined {
  const known = bytes.toString("latin1").replace(ANY_LINE, "$1POST $2 HTTP/1.1\r\n");
  return readRequestsWithLlhttp(bytes) ?? readRequestsWithLlhttp(Buffer.from(known, "latin1"));
}

/** A second request would be read as the rest of an incomplete one. */
function leavingAfter(requests: readonly LlhttpRequest[] | undefined): Leaving {
  if (requests === undefined || requests[0]?.isComplete === true) return "in the end";
  return requests.length === 0 ? "at once" : "after its response";
}

type Both = Awaited<ReturnType<typeof startBoth>>;

async function expectTheSame({ gateway, backend }: Both, bytes: Buffer, label: string): Promise<void> {
  const leaving = leavingAfter(readAsSluice(bytes));
  const ours = await outcomeOf(gateway, backend, "as it is", bytes, leaving);
  expect(await outcomeOf(gateway, backend, "by node:http", bytes, leaving), label).toEqual(ours);
  if (leaving === "after its response") {
    await expectTheSameEnd({ gateway, backend }, { bytes, forwarded: ours.forwarded }, label);
  }
  if (!isOneHead(bytes)) return;
  expect(await outcomeOf(gateway, backend, "in two reads", bytes), label).toEqual(ours);
}

/**
 * Expects the same for a client that leaves without sending its body. Its head may have been forwarded by then or not:
 * that depends on the time, and on whether the backend has an idle connection.
 */
async function expectTheSameEnd(
  { gateway, backend }: Both,
  { bytes, forwarded }: { bytes: Buffer; forwarded: readonly string[] },
  label: string,
): Promise<void> {
  const ends = [];
  for (const way of ["as it is", "by node:http"] as const) {
    const { answer, ending, forwarded: early } = await outcomeOf(gateway, backend, way, bytes, "at once");
    expect([[], forwarded], label).toContainEqual(early);
    ends.push({ answer, ending });
  }
  expect(ends[1], label).toEqual(ends[0]);
}

test.each(CASES_BY_NAME)("%s", async (_name, text) => {
  const both = await startBoth();
  await expectTheSame(both, fillIn(text, both.gateway), "");
});

test.each(["close", "keep-alive"])("an absent body beside an idle backend connection: %s", async (option) => {
  const both = await startBoth();
  await outcomeOf(both.gateway, both.backend, "as it is", fillIn(get("/counted"), both.gateway));
  const bytes = fillIn(get("/counted", `Connection: ${option}`, "Content-Length: 3"), both.gateway);
  await expectTheSame(both, bytes, "");
});

test(`${CASES} random requests get the same responses and are forwarded the same in each way`, async () => {
  const both = await startBoth();
  const random = randomFrom(SEED);
  const targets = Object.keys(ANSWERS);
  let taken = 0;
  let split = 0;
  for (let n = 0; n < CASES; n++) {
    const made = oddRequest(random, both.gateway.host).toString("latin1");
    const text = random.chance(0.6) ? made.replace(/ \/[^ ]* /, ` /${random.one(targets)} `) : made;
    const bytes = Buffer.from(text, "latin1");
    if (bytes.length === 0) continue;
    if (parseRequest(bytes, LIMITS) !== undefined) taken++;
    if (isOneHead(bytes)) split++;
    await expectTheSame(both, bytes, `seed ${SEED}, case ${n}: ${JSON.stringify(text)}`);
  }
  // Otherwise node:http would be compared with itself.
  expect(taken).toBeGreaterThan(CASES / 10);
  expect(split).toBeGreaterThan(CASES / 10);
}, 900_000);

test("bytes that arrive during the response to a plain request are read by node:http afterwards, the same in each way", async () => {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => void requests.push(request));
  const gateway = await startGateway({ routes: { main: { match: { path: "/*" }, upstream: backend.url } } });
  const answers: string[] = [];
  for (const way of ["as it is", "by node:http"] as const) {
    const client = await openRaw(gateway.port);
    for (const part of WAYS[way](fillIn(get("/first"), gateway))) client.send(part);
    const first = await backend.nextRequest();
    client.send(fillIn(`${get("/second")}${get("/third", "Connection: close")}`, gateway));
    await eventually(() => client.socket.writableLength === 0);
    first.respond(200, {}, "1");
    (await backend.nextRequest()).respond(200, {}, "2");
    (await backend.nextRequest()).respond(200, {}, "3");
    expect(await client.ended()).toBe("end");
    answers.push(client.text.replaceAll(/^(Date|X-Request-Id): .+$/gim, ""));
  }
  expect(requests.map(({ target }) => target)).toEqual([
    "/first",
    "/second",
    "/third",
    "/first",
    "/second",
    "/third",
  ]);
  expect(answers[0]).toBe(answers[1]);
});
