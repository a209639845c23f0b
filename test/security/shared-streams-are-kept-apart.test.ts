import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { dataOf, event, idsOf, QUICK, startSharing, subscribe } from "../support/shared.ts";
import { openStream } from "../support/sse-client.ts";

/** A subscriber of one app must never join another app's channel or read its history. */

const codeOf = (app: string): string => `${app}-code-`.padEnd(64, "0");
const apps = {
  alpha: { key: "alpha", secret: "alpha-secret", appCodes: [codeOf("alpha")] },
  beta: { key: "beta", secret: "beta-secret", appCodes: [codeOf("beta")] },
};
const as = (port: number, app: string, more: Record<string, string> = {}) =>
  openStream(port, {
    path: "/news",
    headers: { Accept: "text/event-stream", "X-Apig-AppCode": codeOf(app), ...more },
  });

const forApps = (upstream: string, by: readonly string[]) =>
  startGateway({
    apps,
    routes: {
      main: {
        match: { path: "/news" },
        upstream,
        auth: { appCode: true },
        shared: { ...QUICK, by },
      },
    },
  });

/** Sends each client the identity fields of its request. */
const personal = (request: BackendRequest) => {
  request.openStream();
  request.emit(event(`for ${request.field("x-app-id")}`));
};

test("with principal in the key each app has its own stream and history", async () => {
  const backend = await startBackend(personal);
  const { port } = await forApps(backend.url, ["path", "query", "principal"]);
  const alpha = as(port, "alpha");
  const beta = as(port, "beta");
  await alpha.received("data: for alpha\n\n");
  await beta.received("data: for beta\n\n");
  expect(dataOf(alpha)).toEqual(["for alpha"]);
  expect(dataOf(beta)).toEqual(["for beta"]);
  expect(backend.requests).toHaveLength(2);

  // An id from the other app's history is an unknown id.
  const thief = as(port, "beta", { "Last-Event-ID": idsOf(alpha)[0] ?? "" });
  await thief.received("data: for beta\n\n");
  expect(thief.text).toContain("sluice.gap");
  expect(thief.text).not.toContain("for alpha");
});

test("without principal in the key the backend request has no identity", async () => {
  const backend = await startBackend(personal);
  const { port } = await forApps(backend.url, ["path", "query"]);
  const alpha = as(port, "alpha", {
    Authorization: "Bearer private",
    Cookie: "session=private",
    "X-Forwarded-For": "203.0.113.9",
    "User-Agent": "private",
    "X-Private": "private",
  });
  await alpha.received("data: for undefined\n\n");
  await as(port, "beta").opened();
  expect(backend.requests).toHaveLength(1);
  const { fields } = (await backend.nextRequest()).head;
  expect(fields.map(([name]) => name.toLowerCase()).sort()).toEqual([
    "accept",
    "accept-encoding",
    "cache-control",
    "cdn-loop",
    "connection",
    "host",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
  ]);
  expect(JSON.stringify(fields)).not.toMatch(/private|alpha|203\.0\.113\.9/);
});

test("a field in the key separates the streams by its bytes, and is the only client field at the backend", async () => {
  const backend = await startBackend((request) => {
    request.openStream();
    request.emit(event(`in ${request.fieldLines("accept-language").join("+")}`));
  });
  const { port } = await startSharing(backend.url, { by: ["path", "header:Accept-Language"] });
  const speaking = (language: string) =>
    openStream(port, { path: "/news?token=private", headers: { "Accept-Language": language } });
  const [german, english] = [speaking("de"), speaking("en")];
  await german.received("data: in de\n\n");
  await english.received("data: in en\n\n");
  await speaking("de").opened();
  expect(backend.requests).toHaveLength(2);
  for (const { target } of backend.requests) expect(target).toBe("/news");
});

test("two different keys never become the same stream", async () => {
  const backend = await startBackend((request) => request.openStream());
  const { port } = await startSharing(backend.url, { by: ["path", "query", "header:a", "header:b"] });
  const asking = (path: string, headers: Record<string, string>) => openStream(port, { path, headers });
  const clients = [
    asking("/a", { a: "1", b: "2" }),
    asking("/a", { a: "12" }),
    asking("/a", { b: "12" }),
    asking("/a", { a: '1"]["2' }),
    asking("/a?", {}),
    asking("/a", {}),
  ];
  for (const client of clients) await client.opened();
  expect(backend.requests).toHaveLength(6);
});

test("no client gets the cookies that the backend sets", async () => {
  const backend = await startBackend((request) => {
    request.openStream({
      "Set-Cookie": "session=private",
      Server: "private/1.0",
      "Strict-Transport-Security": "max-age=1",
      "X-Accel-Redirect": "/private",
      "X-Private": "private",
    });
  });
  const { port } = await startSharing(backend.url);
  const client = subscribe(port);
  expect((await client.opened()).raw).not.toMatch(/private|strict-transport/i);
});
