import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { rawSigned, WEB_CLIENT } from "../support/app-signer.ts";
import type { Backend } from "../support/backend.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { type Issuer, startIssuer } from "../support/issuer.ts";
import { rawRequest } from "../support/raw-client.ts";

const CODE = "c".repeat(64);
const APPS = { "web-client": { ...WEB_CLIENT, appCodes: [CODE] } };
const FORGED = "forged.token.of-admin";

async function start() {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const jwt = issuer.config({ header: "X-Token", cookie: "session", claims: { "X-User": "sub" } });
  const auth = { app: ["web-client"], appCode: true, jwt, ticket: {} };
  const gateway = await startGateway({
    apps: APPS,
    routes: {
      main: { match: { path: "/*" }, upstream: backend.url, auth },
      bearer: {
        match: { path: "/bearer" },
        upstream: backend.url,
        auth: { ...auth, jwt: issuer.config({ cookie: "session" }) },
      },
      forwarding: { match: { path: "/forward" }, upstream: backend.url, auth: { ...auth, forward: true } },
      signed: { match: { path: "/signed" }, upstream: backend.url, auth: { app: ["web-client"] } },
      shared: {
        match: { path: "/shared" },
        upstream: backend.url,
        auth,
        shared: { by: ["path", "header:cookie"] },
      },
    },
  });
  return { backend, gateway, issuer };
}

/** The lines of a request and its query that open a route. */
interface Opening {
  readonly lines: readonly string[];
  readonly query?: string;
}

const ways = (gateway: GatewayFixture, issuer: Issuer, path: string) =>
  ({
    signature: async () => {
      const [, ...lines] = rawSigned({ method: "GET", host: gateway.host, path })
        .toString("latin1")
        .trimEnd()
        .split("\r\n");
      return { lines: lines.filter((line) => !/^host:/i.test(line)) };
    },
    AppCode: async () => ({ lines: [`X-Apig-AppCode: ${CODE}`] }),
    token: async () => ({ lines: [`X-Token: ${await issuer.token()}`] }),
    cookie: async () => ({ lines: [`Cookie: session=${await issuer.token()}`] }),
    ticket: async () => {
      const headers = { "x-token": await issuer.token() };
      const answer = await fetch(`${gateway.url}${path}?ticket`, { method: "POST", headers });
      const { ticket } = (await answer.json()) as { ticket: string };
      return { lines: [], query: `?ticket=${ticket}` };
    },
  }) satisfies Record<string, () => Promise<Opening>>;

async function ask(gateway: GatewayFixture, path: string, { lines, query = "" }: Opening) {
  const head = [
    `GET ${path}${query} HTTP/1.1`,
    `Host: ${gateway.host}`,
    ...lines,
    "Connection: close",
    "",
    "",
  ];
  return (await rawRequest(gateway.port, head.join("\r\n"))).status;
}

/** The fields of the backend's last request that identify or authorize the client. */
const heard = (backend: Backend) =>
  (backend.requests.at(-1)?.head.fields ?? [])
    .filter(([name]) => /^(?:cookie|authorization|x[-_.](?:token|user|app[-_.]id|apig|sdk).*)$/i.test(name))
    .map(([name, value]) => `${name}: ${value}`);

const IDENTITY = { signature: "X-App-Id: web-client", AppCode: "X-App-Id: web-client" } as const;
const identityOf = (way: string): string => IDENTITY[way as keyof typeof IDENTITY] ?? "X-User: anna";

test.each(["/a", "/forward"])(
  "a session cookie that was not verified is not forwarded beside another credential: %s",
  async (path) => {
    const { backend, gateway, issuer } = await start();
    for (const [way, open] of Object.entries(ways(gateway, issuer, path))) {
      if (way === "cookie") continue;
      const { lines, query = "" }: Opening = await open();
      const cookies = [`Cookie: theme=dark; session=${FORGED}; lang=en`, `Cookie: session="x"`];
      expect(await ask(gateway, path, { lines: [...lines, ...cookies], query }), way).toBe(200);
      const fields = heard(backend);
      expect(fields.join("\n"), way).not.toContain("session");
      // A cookie that is not a credential of ours belongs to the application.
      expect(fields).toContain("Cookie: theme=dark; lang=en");
      expect(fields).toContain(identityOf(way));
      expect(backend.requests.at(-1)?.target).toBe(path);
    }
  },
);

test("two credentials are refused before either is verified, right or wrong", async () => {
  const { backend, gateway, issuer } = await start();
  const wrong = {
    signature: `Authorization: SDK-HMAC-SHA256 Access=x, SignedHeaders=host;x-sdk-date, Signature=${"0".repeat(64)}`,
    AppCode: "X-Apig-AppCode: x",
    token: `X-Token: ${FORGED}`,
  };
  const all = ways(gateway, issuer, "/a");
  for (const [way, open] of Object.entries(all)) {
    if (way === "cookie") continue;
    for (const [other, line] of Object.entries(wrong)) {
      if (other === way) continue;
      const { lines, query = "" }: Opening = await open();
      expect(await ask(gateway, "/a", { lines: [...lines, line], query }), `${way} and ${other}`).toBe(401);
      // The refused request did not use up the ticket.
      if (way === "ticket") expect(await ask(gateway, "/a", { lines, query })).toBe(200);
    }
    const { lines }: Opening = await open();
    if (way === "ticket") continue;
    const { query } = await all.ticket();
    expect(await ask(gateway, "/a", { lines, query }), `${way} and a ticket`).toBe(401);
  }
  expect(backend.requests).toHaveLength(3);
});

test("a credential in a spelling that CGI reads as ours is not forwarded beside the verified one", async () => {
  const { backend, gateway, issuer } = await start();
  const twins = [`X_Token: ${FORGED}`, "X.Apig.AppCode: x", "X_Sdk_Date: 20000101T000000Z"];
  for (const path of ["/a", "/forward"]) {
    for (const way of ["AppCode", "token", "cookie", "ticket"] as const) {
      const { lines, query = "" }: Opening = await ways(gateway, issuer, path)[way]();
      expect(await ask(gateway, path, { lines: [...lines, ...twins], query }), way).toBe(200);
      // With `forward` its own field is forwarded, as it was verified.
      const own = path === "/forward" && way !== "ticket" ? lines : [];
      expect(heard(backend), `${way} on ${path}`).toEqual([...own, identityOf(way)]);
    }
  }
});

test("a bearer token after any white space counts as a credential", async () => {
  const { backend, gateway, issuer } = await start();
  for (const text of [
    `Bearer\t${FORGED}`,
    `bearer,${FORGED}`,
    `BEARER=${FORGED}`.replace("=", ":"),
    "Bearer",
  ]) {
    const { lines } = await ways(gateway, issuer, "/bearer").AppCode();
    expect(await ask(gateway, "/bearer", { lines: [...lines, `Authorization: ${text}`] }), text).toBe(401);
  }
  expect(backend.requests).toHaveLength(0);
  // Another scheme belongs to the backend, and so does a token on a route that accepts none.
  const { lines } = await ways(gateway, issuer, "/bearer").AppCode();
  expect(await ask(gateway, "/bearer", { lines: [...lines, "Authorization: Basic YTpi"] })).toBe(200);
  expect(heard(backend)).toEqual(["Authorization: Basic YTpi", "X-App-Id: web-client"]);
  expect(await ask(gateway, "/a", { lines: [...lines, `Authorization: Bearer ${FORGED}`] })).toBe(200);
  expect(heard(backend)).toEqual([`Authorization: Bearer ${FORGED}`, "X-App-Id: web-client"]);
});

test("cookies of an application are forwarded unchanged if none is a credential of the route", async () => {
  const { backend, gateway, issuer } = await start();
  const { lines } = await ways(gateway, issuer, "/signed").signature();
  const cookie = "Cookie: session=its own;  theme=dark;";
  expect(await ask(gateway, "/signed", { lines: [...lines, cookie] })).toBe(200);
  expect(heard(backend)).toEqual(["Cookie: session=its own;  theme=dark;", "X-App-Id: web-client"]);
});

test("the request of a shared stream does not contain the cookie either", async () => {
  const { backend, gateway, issuer } = await start();
  const { lines } = await ways(gateway, issuer, "/shared").AppCode();
  await ask(gateway, "/shared", { lines: [...lines, `Cookie: session=${FORGED}; a=b`] });
  expect(heard(backend)).toEqual(["Cookie: a=b"]);
});
