import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { APP_CODE } from "./requests.mjs";

/** The configuration of a gateway of the matrix. Timeouts are short, so that a stalled peer is dropped soon. */

/** The places of the limits; at rest all must be free. */
export const PLACES = { streams: 160, ofRoute: 120, ofClient: 100, connections: 700 };

/** The TCP listeners in file order, which is the order of their log lines. */
export const LISTENERS = ["tcp", "tls", "proxy", "proxyTls", "unix", "unixTls"];

/** The public test certificate. */
function writeCertificate(directory) {
  const text = readFileSync(new URL("../../support/certificate.ts", import.meta.url), "utf8");
  const [cert, key] = text.match(/-----BEGIN [\s\S]*?-----END [A-Z ]+-----\n/g);
  writeFileSync(join(directory, "cert.pem"), cert);
  writeFileSync(join(directory, "key.pem"), key);
}

function server(directory, { workers, redisUrl }) {
  const tls = { cert: "cert.pem", key: "key.pem" };
  const http2 = { maxResets: 1_000, pingInterval: "1s" };
  const path = (name) => `unix:${join(directory, `${name}.sock`)}`;
  return {
    listen: [
      { address: "127.0.0.1:0" },
      { address: "127.0.0.1:0", tls, http2 },
      { address: "127.0.0.1:0", proxyProtocol: true },
      { address: "127.0.0.1:0", proxyProtocol: true, tls, http2 },
      { address: path("unix") },
      { address: path("unixTls"), tls, http2 },
    ],
    admin: "127.0.0.1:0",
    workers,
    limits: { streams: PLACES.streams, connections: PLACES.connections, requestTimeout: "900ms" },
    drain: { timeout: "500ms" },
    // The proxy before Redis is in the process that runs all cases; with 500 ms its stalls cut the connections again
    // and again.
    redis: redisUrl === undefined ? null : { url: redisUrl, lease: "500ms", timeout: "3s" },
  };
}

/** Longer than any stall of a machine, for streams that must not end by themselves. */
const LONG = "60s";

function routes(backendUrl) {
  // The backends are faulty on purpose, so failures must not remove them from use.
  const upstreamOf = (responseHeaderTimeout) => ({
    backends: [{ url: backendUrl, maxFails: 0 }],
    connectTimeout: LONG,
    responseHeaderTimeout,
  });
  const patient = { heartbeat: "40ms", idleTimeout: LONG, clientBuffer: "32k" };
  const short = { ...patient, idleTimeout: "400ms", sendTimeout: "400ms", maxDuration: "150ms" };
  const under = (path, stream, { limits, ...more } = {}) => {
    const upstream = upstreamOf(stream === patient ? LONG : "400ms");
    // A client that ends its half and leaves later is noticed by the next bytes that are sent to it, or by this time.
    const bounds = { halfCloseTimeout: "2s", ...limits };
    return { match: { path: `/${path}/*` }, upstream, stream, limits: bounds, ...more };
  };
  const mock = (path, answer) => ({ match: { path: `/mock/${path}` }, stream: patient, mock: answer });
  const shared = {
    by: ["path"],
    linger: "50ms",
    history: { events: 50, age: "1s" },
    redial: { min: "10ms", max: "50ms", maxRetryAfter: "100ms" },
    pollTimeout: "1s",
  };
  return {
    relay: under("relay", patient, {
      limits: { streams: PLACES.ofRoute, streamsPerClient: PLACES.ofClient },
    }),
    shared: under("shared", patient, { shared }),
    drain: under("drain", { ...short, onClientGone: "drain" }),
    forward: under("forward", short, { cors: true }),
    ticket: under("ticket", short, { auth: { appCode: true, ticket: { ttl: "5s" } } }),
    socket: under("socket", patient, { websocket: true }),
    fixed: mock("fixed", { body: "fixed" }),
    stream: mock("stream", {
      events: [
        { data: "a", id: "1" },
        { data: "b", after: "20ms" },
      ],
      repeat: true,
    }),
    gone: mock("gone", { status: 204 }),
  };
}

/** Writes the files of a gateway. JSON is YAML. */
export function writeConfig(directory, { backendUrl, ...ofServer }) {
  const config = join(directory, "config");
  mkdirSync(join(config, "routes"), { recursive: true });
  writeCertificate(config);
  const write = (name, value) => writeFileSync(join(config, name), JSON.stringify(value, undefined, 1));
  write("sluice.yaml", server(directory, ofServer));
  write("apps.yaml", { web: { key: "web", secret: "s".repeat(32), appCodes: [APP_CODE] } });
  for (const [name, route] of Object.entries(routes(backendUrl))) write(`routes/${name}.yaml`, route);
}
