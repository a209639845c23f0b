import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { routeSchema } from "../../../src/config/route-schema.ts";
import { serverSchema } from "../../../src/config/server-schema.ts";
import { routingPath } from "../../../src/http/routing-path.ts";
import { createRouter } from "../../../src/routing/router.ts";

const MANY = 100_000;
/** A pattern that backtracks would take years for such a text. */
const MAX_MS = 3_000;
/** The machine may stand still during one attempt; a slow check is slow each time. */
const ATTEMPTS = 3;

const upstream = "http://127.0.0.1:1";
const good = { match: { path: "/a" }, upstream };

/** A repeated piece, and an end that makes a match impossible. */
const TEXTS: readonly (readonly [piece: string, end: string])[] = [
  ["a", "!"],
  ["a.", " "],
  ["/a", "\\"],
  ["%41", "%"],
  ["1", "x"],
  ["1.", "/"],
  ["1:", "]"],
  ["(a+)+", "$"],
  ["*", "\n"],
  ["-", "\0"],
  [" ", "s"],
];

const ROUTES: Readonly<Record<string, (text: string) => object>> = {
  "match.path": (text) => ({ ...good, match: { path: text } }),
  "match.path behind a slash": (text) => ({ ...good, match: { path: `/${text}` } }),
  "match.host": (text) => ({ ...good, match: { path: "/a", host: text } }),
  "match.methods": (text) => ({ ...good, match: { path: "/a", methods: [text] } }),
  upstream: (text) => ({ ...good, upstream: text }),
  "the host of upstream": (text) => ({ ...good, upstream: `http://${text}` }),
  "upstream.tls.serverName": (text) => ({
    ...good,
    upstream: { backends: [{ url: "https://a" }], tls: { serverName: text } },
  }),
  "stream.heartbeat": (text) => ({ ...good, stream: { heartbeat: text } }),
  "stream.clientBuffer": (text) => ({ ...good, stream: { clientBuffer: text } }),
  "stream.contentTypes": (text) => ({ ...good, stream: { contentTypes: [text] } }),
  "cors.allowOrigins": (text) => ({ ...good, cors: { allowOrigins: [text] } }),
  "cors.allowOrigins behind https": (text) => ({ ...good, cors: { allowOrigins: [`https://${text}`] } }),
  "cors.allowHeaders": (text) => ({ ...good, cors: { allowOrigins: ["*"], allowHeaders: [text] } }),
  "access.allow": (text) => ({ ...good, access: { allow: [text] } }),
  "headers.request.set": (text) => ({ ...good, headers: { request: { set: { [text]: "x" } } } }),
  "rewrite.stripPrefix": (text) => ({ ...good, rewrite: { stripPrefix: text } }),
  "shared.by": (text) => ({ ...good, shared: { by: [text] } }),
};

const SERVERS: Readonly<Record<string, (text: string) => object>> = {
  listen: (text) => ({ listen: text }),
  admin: (text) => ({ admin: text }),
  trustedProxies: (text) => ({ trustedProxies: [text] }),
  "drain.timeout": (text) => ({ drain: { timeout: text } }),
  "limits.headerBytes": (text) => ({ limits: { headerBytes: text } }),
  "redis.url": (text) => ({ redis: text }),
};

const timed = (act: () => unknown): number => {
  const startedAt = performance.now();
  act();
  return performance.now() - startedAt;
};

/** Returns the time of the quickest attempt; a quick one is the last. */
function quickest(act: () => unknown): number {
  let ms = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS && ms >= MAX_MS; attempt++) ms = Math.min(ms, timed(act));
  return ms;
}

// No key accepts a regular expression: a text that looks like one is an ordinary text.
test.each([
  ...Object.entries(ROUTES).map(([key, make]) => [key, make, routeSchema] as const),
  ...Object.entries(SERVERS).map(([key, make]) => [key, make, serverSchema] as const),
])("any text in %s is accepted or refused within milliseconds", (_, make, schema) => {
  for (const [piece, end] of TEXTS) {
    const text = piece.repeat(MANY / piece.length) + end;
    expect(quickest(() => schema.safeParse(make(text)))).toBeLessThan(MAX_MS);
  }
});

const NO_CONDITIONS = { request: { rawHeaders: [] }, target: { query: "" } };

test.each(["(a+)+$", "^/a", "/a|/b", "/[a-z]*", "/a.*", "/a+", "~ /a"])(
  "%s is not a regular expression",
  (path) => {
    const { success } = routeSchema.safeParse({ ...good, match: { path } });
    // Some of its characters are allowed in a path, and they match only themselves.
    if (success) {
      expect(
        routerTo([path]).match({ host: "h", path: routingPath("/aa"), method: "GET" }, NO_CONDITIONS),
      ).toBeUndefined();
    }
  },
);

test("a route is found within milliseconds, for long paths and many routes", () => {
  const paths = Array.from({ length: 1_000 }, (_, at) => `/${"a/".repeat(at % 50)}${at}/*`);
  const router = routerTo(paths);
  const path = routingPath(`/${"a/".repeat(8_000)}`);
  // The best of five: if the machine stood still during one, its time is not the router's.
  const times = Array.from({ length: 5 }, () =>
    timed(() => router.match({ host: "h", path, method: "GET" }, NO_CONDITIONS)),
  );
  expect(Math.min(...times)).toBeLessThan(50);
});

function routerTo(paths: readonly string[]) {
  return createRouter(
    paths.map((path) => ({
      name: path,
      match: routeSchema.parse({ ...good, match: { path } }).match,
      value: path,
    })),
  );
}
