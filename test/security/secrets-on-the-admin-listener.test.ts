import { expect, test } from "vitest";
import { askAdmin, startWithAdmin } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { openStream } from "../support/sse-client.ts";

const CANARY = "c4n4ry";
const secret = (name: string) => `${CANARY}-${name}-`.padEnd(64, "x");

test("metrics, lists, events and the log contain no secret, token, cookie or query", async () => {
  const backend = await startBackend();
  const gateway = await startWithAdmin({
    apps: { shop: { key: "shop", secret: secret("app"), appCodes: [secret("code")] } },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: { backends: [{ url: backend.url }], sign: { key: "us", secret: secret("sign") } },
        auth: { app: ["shop"], appCode: true },
        headers: { request: { set: { "X-Api-Key": secret("field") } } },
      },
    },
    server: { adminToken: secret("admin") },
  });
  const client = openStream(gateway.port, {
    path: `/stream?token=${secret("query")}`,
    headers: { "X-Apig-AppCode": secret("code"), Cookie: `session=${secret("cookie")}` },
  });
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: x\n\n");
  await client.received("data: x");
  const wrong = openStream(gateway.port, {
    path: `/stream?token=${secret("query")}`,
    headers: { Authorization: `Bearer ${secret("bearer")}` },
  });
  await wrong.ended();

  const asked = { headers: { Authorization: `Bearer ${secret("admin")}` } };
  const port = Number(new URL(gateway.adminUrl).port);
  const watching = openStream(port, { path: "/api/events", headers: asked.headers });
  await watching.received("event: overview");
  const said = [
    (await askAdmin(gateway, "/metrics", asked)).text,
    (await askAdmin(gateway, "/api/streams", asked)).text,
    (await askAdmin(gateway, "/", asked)).text,
    (await askAdmin(gateway, "/api/streams/nobody/end", { ...asked, method: "POST" })).text,
    (await askAdmin(gateway, "/")).text,
    watching.text,
    JSON.stringify(gateway.log),
    wrong.text,
  ];
  expect(said[1]).toContain('"app":"shop"');
  expect(said.filter((text) => text.includes(CANARY))).toEqual([]);
});
