import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { startIssuer } from "../support/issuer.ts";
import { openRaw } from "../support/raw-client.ts";

test("of many simultaneous uses of one ticket exactly one succeeds", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await startGatewayTo(backend.url, { auth: { jwt: issuer.config(), ticket: {} } });
  const authorization = `Bearer ${await issuer.token()}`;
  for (let round = 0; round < 20; round += 1) {
    const answer = await fetch(`${gateway.url}/feed?ticket`, { method: "POST", headers: { authorization } });
    const { ticket } = (await answer.json()) as { ticket: string };
    const clients = await Promise.all(Array.from({ length: 8 }, () => openRaw(gateway.port)));
    const request = `GET /feed?ticket=${ticket} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    for (const client of clients) client.send(request);
    await Promise.all(clients.map((client) => client.ended()));
    const statuses = clients.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([200, ...Array.from({ length: 7 }, () => 401)]);
  }
  expect(backend.requests).toHaveLength(20);
});
