import http from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { signWithApigSdk, WEB_CLIENT } from "../support/app-signer.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

const FORGED = 5_000;
const AT_ONCE = 16;
const MAX_GROWTH = 16 * 1024 ** 2;

setFlagsFromString("--expose_gc");
const collect = runInNewContext("gc") as () => void;
const heapUsed = () => {
  collect();
  return process.memoryUsage().heapUsed;
};

// The log is not sampled, because every request has its line; the memory of the gateway must not grow.
test("a flood of failed authentications leaves nothing behind, and other clients are served throughout", async () => {
  const backend = await startBackend((request) => {
    if (request.target === "/events") request.openStream();
    else request.respond(200, {}, "ok");
  });
  const gateway = await startGateway({
    // All are verified; another test covers the limit.
    server: { limits: { failedAuth: "off" } },
    apps: { "web-client": WEB_CLIENT },
    routes: {
      events: { match: { path: "/events" }, upstream: backend.url },
      signed: {
        match: { path: "/*" },
        upstream: backend.url,
        auth: { app: { apps: ["web-client"], replay: "reject" } },
      },
    },
  });
  const stream = openStream(gateway.port, { path: "/events" });
  const source = await backend.nextRequest();
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const send = (secret: string, n: number) => {
    const unsigned = { method: "GET", host: gateway.host, path: "/a", query: { n: [String(n)] } };
    const { path, headers } = signWithApigSdk(unsigned, { ...WEB_CLIENT, secret });
    return new Promise<number | undefined>((resolve, reject) => {
      const request = http.get({ port: gateway.port, path, headers: { ...headers }, agent }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode));
      });
      request.once("error", reject);
    });
  };
  const flood = async (from: number, count: number) => {
    for (let n = from; n < from + count; n += 500) {
      const answers = await Promise.all(Array.from({ length: 500 }, (_, k) => send("forged", n + k)));
      expect(new Set(answers)).toEqual(new Set([401]));
      source.emit(`data: ${n}\n\n`);
      await stream.received(`data: ${n}\n\n`);
      expect(await send(WEB_CLIENT.secret, -1 - n)).toBe(200);
    }
  };
  await flood(0, 1_000);
  const before = heapUsed();
  await flood(1_000, FORGED);
  expect(heapUsed() - before).toBeLessThan(MAX_GROWTH);
  agent.destroy();
  // The stream, and one valid request for each 500 forged ones.
  expect(backend.requests).toHaveLength(1 + 6_000 / 500);
  expect(gateway.requestLines().filter(({ status }) => status === 401)).toHaveLength(6_000);
}, 120_000);
