import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { startIssuer } from "../support/issuer.ts";
import { rawRequest } from "../support/raw-client.ts";

// Text in which every part looks like the start of a match: a search that scans from each of them to the end takes a
// second for 16 KB, and meanwhile no stream of the process gets an event.

/** Just below the limit of a head. */
const BYTES = 15_000;

const FILLERS: readonly (readonly [name: string, text: string])[] = [
  ["tabs", "\t"],
  ["spaces", " "],
  ["spaces and tabs", " \t"],
  ["commas", ", "],
  ["quotes", '"'],
  ["backslashes in quotes", '\\"'],
  ["semicolons", ";="],
  ["parameters", "; charset ="],
  ["names", "?lastEventId="],
  ["hosts", ".a:1"],
  ["brackets", "[::"],
  ["digits", "1"],
  ["dots", "a.b-"],
];

/**
 * Far more than a linear search takes, and far less than a second; the best of three, because a machine may stall.
 */
const MOST_MS = 250;

async function bestOf(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 3; round++) {
    const begin = performance.now();
    await run();
    times.push(performance.now() - begin);
    if (times.some((ms) => ms < MOST_MS)) break;
  }
  return Math.min(...times);
}

const filled = (text: string) => `x${text.repeat(Math.floor(BYTES / text.length))}x`;

const RESPONSE_FIELDS = [
  "Content-Length",
  "Transfer-Encoding",
  "Connection",
  "Keep-Alive",
  "Content-Type",
  "Content-Encoding",
  "Cache-Control",
  "Vary",
  "Retry-After",
  "Trailer",
  "X-Any",
];

test.each(RESPONSE_FIELDS)("a backend's %s takes no longer than any field of its length", async (name) => {
  let value = "";
  const backend = await startBackend((request) => {
    request.send(`HTTP/1.1 200 OK\r\nConnection: close\r\n${name}: ${value}\r\n\r\nok`);
  });
  const gateway = await startGatewayTo(backend.url, { cors: true });
  const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  for (const [filler, text] of FILLERS) {
    for (const begin of ["x", "text/event-stream"]) {
      value = `${begin}${filled(text)}`;
      const ms = await bestOf(() => rawRequest(gateway.port, request, { until: "\r\n\r\n" }));
      expect(ms, filler).toBeLessThan(MOST_MS);
    }
  }
});

const REQUEST_FIELDS = [
  "Accept:",
  "Authorization: Bearer",
  "Authorization: SDK-HMAC-SHA256 Access=a, SignedHeaders=",
  "Connection:",
  "Content-Type:",
  "Cookie: session=",
  "Cookie:",
  "Forwarded: for=",
  "Host:",
  "Last-Event-ID:",
  "Origin: http://a",
  "TE:",
  "Upgrade:",
  "X-Apig-AppCode:",
  "X-Forwarded-For: 1.2.3.4",
  "X-Forwarded-Host:",
  "X-Request-Id:",
  "X-Sdk-Date:",
];

/** Returns a request with a long text in one place: the path, the query or a field. */
function requestWith(place: string, path: string, text: string): string {
  const inTarget = { path: `${path}${encodeURI(text)}`, query: `${path}?a=1&b=${encodeURI(text)}` }[place];
  const field = inTarget === undefined ? `${place} ${text}\r\n` : "";
  const host = place === "Host:" ? "" : "Host: a\r\n";
  const target = inTarget?.slice(0, BYTES - (BYTES % 3)) ?? path;
  return `GET ${target} HTTP/1.1\r\n${host}${field}Connection: close\r\n\r\n`;
}

test.each([...REQUEST_FIELDS, "path", "query"])(
  "a client's %s takes no longer than any text of its length",
  async (place) => {
    const backend = await startPlainBackend();
    const issuer = await startIssuer();
    const jwt = issuer.config({ cookie: "session" });
    const cors = { allowOrigins: ["https://*.example.com"] };
    const gateway = await startGateway({
      apps: { shop: { key: "shop", secret: "s".repeat(32), appCodes: ["c".repeat(64)] } },
      server: { trustedProxies: ["127.0.0.1"] },
      routes: {
        open: { match: { path: "/*" }, upstream: backend.url, cors },
        guarded: {
          match: { path: "/guarded/*" },
          upstream: backend.url,
          cors,
          auth: { app: ["shop"], appCode: true, jwt },
        },
      },
    });
    for (const path of ["/", "/guarded/"]) {
      for (const [filler, text] of FILLERS) {
        const request = requestWith(place, path, filled(text));
        const ms = await bestOf(() => rawRequest(gateway.port, request));
        expect(ms, `${filler}, ${path}`).toBeLessThan(MOST_MS);
      }
    }
  },
);
