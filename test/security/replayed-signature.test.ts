import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { rawSigned, WEB_CLIENT } from "../support/app-signer.ts";
import { startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";

async function startReplay(replay: "allow" | "reject", signatures = 100) {
  const backend = await startPlainBackend();
  const auth = { app: { apps: ["web-client"], replay } };
  const gateway = await startGateway({
    apps: { "web-client": WEB_CLIENT },
    server: { limits: { signatures } },
    routes: {
      exact: { match: { path: "/a" }, upstream: backend.url, auth },
      below: { match: { path: "/a/*", methods: ["GET"] }, upstream: backend.url, auth },
      other: { match: { path: "/*" }, upstream: backend.url, auth },
    },
  });
  const signed = (path: string, n = 0) =>
    rawSigned({ method: "GET", host: gateway.host, path, query: { n: [`${n}`] } });
  const send = async (raw: Buffer) => (await rawRequest(gateway.port, raw, { until: "\r\n\r\n" })).status;
  return { backend, gateway, signed, send };
}

test("control: without `replay: reject` a signature can be used again, as clients of that protocol do", async () => {
  const { signed, send } = await startReplay("allow");
  const raw = signed("/a");
  expect([await send(raw), await send(raw)]).toEqual([200, 200]);
});

test("a used signature is refused, also on another route, and of two simultaneous uses one succeeds", async () => {
  const { backend, gateway, signed, send } = await startReplay("reject");
  const raw = signed("/a");
  expect([await send(raw), await send(raw)]).toEqual([200, 401]);
  // The protocol gives /a and /a/ the same signature.
  const slash = Buffer.from(raw.toString("latin1").replace("GET /a?", "GET /a/?"), "latin1");
  expect(await send(slash)).toBe(401);
  const appended = Buffer.from(raw.toString("latin1").replace("n=0", "n=0&lastEventId=1"), "latin1");
  expect(await send(appended)).toBe(401);
  const twice = signed("/a", 1);
  const both = await Promise.all([send(twice), send(twice), send(twice)]);
  expect(both.sort()).toEqual([200, 401, 401]);
  expect(backend.requests).toHaveLength(2);
  const reasons = gateway.requestLines().map(({ err }) => (err as { message?: string } | undefined)?.message);
  expect(reasons.filter((text) => text?.startsWith("replay: "))).toHaveLength(5);
});

test("a refused request does not use its signature up, and a full memory refuses instead of forgetting", async () => {
  const { signed, send } = await startReplay("reject", 2);
  const raw = signed("/b");
  const forged = Buffer.from(raw.toString("latin1").replace("n=0", "n=9"), "latin1");
  for (let i = 0; i < 5; i++) expect(await send(forged)).toBe(401);
  expect(await send(raw)).toBe(200);
  expect(await send(signed("/b", 2))).toBe(200);
  expect(await send(signed("/b", 3))).toBe(429);
  expect(await send(raw)).toBe(401);
});
