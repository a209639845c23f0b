import { expect, test } from "vitest";
import { type LogLine, startGateway } from "../support/gateway.ts";

const ROUTES = { main: { match: { path: "/*" }, mock: { body: "ok" } } };

const warnings = (lines: readonly LogLine[]) =>
  lines.filter(({ msg }) => msg.startsWith("a peer that is not trusted"));

test("a peer that keeps sending X-Forwarded-For without being trusted is named once, with the line to add", async () => {
  const gateway = await startGateway({ routes: ROUTES });
  const ask = () => fetch(gateway.url, { headers: { "X-Forwarded-For": "203.0.113.7" } });
  for (let n = 0; n < 9; n++) await ask();
  expect(warnings(gateway.log)).toEqual([]);
  for (let n = 0; n < 20; n++) await ask();
  expect(warnings(gateway.log)).toEqual([
    expect.objectContaining({
      level: 40,
      peer: "127.0.0.1",
      field: "x-forwarded-for",
      remedy: 'trustedProxies: ["127.0.0.1"] in sluice.yaml, or serve --to URL --trust 127.0.0.1',
    }),
  ]);
});

test("a trusted proxy and clients without such fields are not named", async () => {
  const trusting = await startGateway({ routes: ROUTES, server: { trustedProxies: ["127.0.0.1"] } });
  const plain = await startGateway({ routes: ROUTES });
  for (let n = 0; n < 20; n++) {
    await fetch(trusting.url, { headers: { "X-Forwarded-For": "203.0.113.7" } });
    await fetch(plain.url);
  }
  expect([...warnings(trusting.log), ...warnings(plain.log)]).toEqual([]);
});
