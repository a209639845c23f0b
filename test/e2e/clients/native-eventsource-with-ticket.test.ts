import { expect, it } from "vitest";
import { startBackend } from "../../support/backend.ts";
import { openClientPage } from "../../support/client-page.ts";
import { startGateway } from "../../support/gateway.ts";
import { startIssuer } from "../../support/issuer.ts";
import { startNginx } from "../../support/nginx.ts";
import { startPageServer } from "../../support/page-server.ts";

/** The browser's own EventSource, which cannot send fields, cross-origin on a route that requires a token. */

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

async function start() {
  const pages = await startPageServer();
  const backend = await startBackend();
  const issuer = await startIssuer();
  const gateway = await startGateway({
    routes: {
      stream: {
        match: { path: "/stream", methods: ["GET"] },
        upstream: backend.url,
        // POST is not configured: sluice itself answers the request for a ticket.
        cors: { allowOrigins: [pages.origin], allowMethods: ["GET"] },
        auth: { jwt: issuer.config(), ticket: {} },
      },
    },
  });
  const nginx = await startNginx({ upstream: gateway.host });
  return { backend, issuer, gateway, nginx, page: await openClientPage(pages.origin + pages.path) };
}

it("opens a stream with a ticket, and resumes it with another ticket", async () => {
  const { backend, issuer, gateway, nginx, page } = await start();
  const headers = { Authorization: `Bearer ${await issuer.token()}` };
  const source = await page.open("openWithTicket", "ticket", `${nginx.url}/stream`, { headers });

  const first = await backend.nextRequest();
  expect(first.target).toBe("/stream");
  expect(first.field("authorization")).toBeUndefined();
  first.openStream();
  expect(await source.next()).toMatchObject({ type: "open", readyState: OPEN });
  first.emit("retry: 10\nid: 7\ndata: one\n\n");
  expect(await source.next()).toMatchObject({ type: "message", data: "one", id: "7" });

  first.endStream();
  // The browser reconnects with the used ticket, which fails; the page requests another ticket.
  expect(await source.next()).toMatchObject({ type: "error", readyState: CONNECTING });
  expect(await source.next()).toMatchObject({ type: "error", readyState: CLOSED });
  const second = await backend.nextRequest();
  expect(second.target).toBe("/stream");
  expect(second.field("last-event-id")).toBe("7");
  second.openStream();
  expect(await source.next()).toMatchObject({ type: "open", readyState: OPEN });
  second.emit("id: 8\ndata: two\n\n");
  expect(await source.next()).toMatchObject({ type: "message", data: "two", id: "8" });
  expect(JSON.stringify(gateway.log)).not.toContain("ticket=");
});

it("is refused without a token, with a response that the page can read", async () => {
  const { backend, page, nginx } = await start();
  const headers = { Authorization: "Bearer x" };
  const refused = await page.open("openWithTicket", "refused", `${nginx.url}/stream`, { headers });
  expect(await refused.next()).toMatchObject({ type: "refused", status: 401 });
  const bare = await page.open("openNative", "bare", `${nginx.url}/stream`);
  expect(await bare.next()).toMatchObject({ type: "error", readyState: CLOSED });
  expect(backend.requests).toHaveLength(0);
});
