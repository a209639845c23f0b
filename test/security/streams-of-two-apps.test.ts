import { expect, test } from "vitest";
import { signWithApigSdk, WEB_CLIENT } from "../support/app-signer.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

const OTHER = { key: "other-key", secret: "other-secret-of-the-tests" };

test("two apps that ask for the same stream get a backend stream each, with their own identity", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGateway({
    apps: { "web-client": WEB_CLIENT, other: OTHER },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        auth: { app: { apps: ["web-client", "other"], replay: "reject" } },
      },
    },
  });
  const open = (app: typeof OTHER) => {
    const { path, headers } = signWithApigSdk({ method: "GET", host: gateway.host, path: "/events" }, app);
    const { host: _, ...fields } = headers;
    return openStream(gateway.port, { path, headers: { ...fields, Accept: "text/event-stream" } });
  };
  const clients = [open(WEB_CLIENT), open(OTHER)];
  for (const client of clients) expect((await client.opened()).status).toBe(200);
  const byApp = new Map(backend.requests.map((request) => [request.field("x-app-id"), request]));
  expect([...byApp.keys()].sort()).toEqual(["other", "web-client"]);
  byApp.get("web-client")?.emit("data: for web-client\n\n");
  byApp.get("other")?.emit("data: for other\n\n");
  await clients[0]?.received("data: for web-client\n\n");
  await clients[1]?.received("data: for other\n\n");
  expect(clients[0]?.text).not.toContain("other");
  expect(clients[1]?.text).not.toContain("web-client");
});
