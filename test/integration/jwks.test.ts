import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { Jwks } from "../../src/auth/jwks.ts";
import { ConfigError } from "../../src/config/problem.ts";
import { createGateway } from "../../src/gateway/gateway.ts";
import { afterTest } from "../support/after-test.ts";
import { startPlainBackend } from "../support/answers.ts";
import { refusedPort } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { inlineConfig, startGatewayTo } from "../support/gateway.ts";
import { createKey, type Issuer, startIssuer } from "../support/issuer.ts";

const statusWith = async (url: string, token: string): Promise<number> =>
  (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status;

async function startProtected(issuer: Issuer) {
  const backend = await startPlainBackend();
  return startGatewayTo(backend.url, { auth: { jwt: issuer.config() } });
}

test("a key that the issuer begins to use after the start is fetched when a token names it", async () => {
  const issuer = await startIssuer();
  const gateway = await startProtected(issuer);
  const old = await issuer.token();
  issuer.keys = [await createKey("second")];

  // A known key needs no fetch, so the old key is valid until the new set has been fetched.
  expect(await statusWith(gateway.url, old)).toBe(200);
  expect(await statusWith(gateway.url, await issuer.token())).toBe(200);
  expect(await statusWith(gateway.url, old)).toBe(401);
  expect(issuer.fetches).toBe(2);
});

test("unknown key ids, of which anyone can send any number, cost one fetch in ten seconds", async () => {
  const issuer = await startIssuer();
  const gateway = await startProtected(issuer);
  const unknown = await Promise.all(
    Array.from({ length: 50 }, (_, at) => issuer.token({ header: { kid: `unknown-${at}` } })),
  );
  const answers = await Promise.all(unknown.map((token) => statusWith(gateway.url, token)));
  expect(new Set(answers)).toEqual(new Set([401]));
  expect(issuer.fetches).toBe(2);
});

test("while an issuer is away its last keys stay valid; the outage and its end are logged once each", async () => {
  const issuer = await startIssuer();
  const lines: { msg: string }[] = [];
  const log = pino({ base: null }, { write: (line) => lines.push(JSON.parse(line)) });
  const jwks = new Jwks(issuer.url, log, { refreshMs: 5, retryMs: 5, missCooldownMs: 0 });
  afterTest(() => jwks.close());
  await jwks.start();
  const header = { alg: "ES256", kid: "first" };
  const token = { payload: "", signature: "" };

  issuer.respond = (response) => response.writeHead(503).end();
  const failedFrom = issuer.fetches;
  await eventually(() => issuer.fetches > failedFrom + 5, "attempts during the outage");
  await expect(jwks.key(header, token)).resolves.toBeDefined();
  expect(lines.map(({ msg }) => msg)).toEqual(["JWKS unreachable: the last keys stay in use"]);

  issuer.respond = undefined;
  await eventually(() => lines.length > 1, "the log line that it is back");
  expect(lines.map(({ msg }) => msg)).toEqual([
    "JWKS unreachable: the last keys stay in use",
    "JWKS is back",
  ]);
});

test("a withdrawn key becomes invalid with the next refresh, even without a request", async () => {
  const issuer = await startIssuer();
  const jwks = new Jwks(issuer.url, pino({ enabled: false }), {
    refreshMs: 5,
    retryMs: 5,
    missCooldownMs: 60_000,
  });
  afterTest(() => jwks.close());
  await jwks.start();
  issuer.keys = [await createKey("second")];
  const isKnown = (kid: string) =>
    Promise.resolve(jwks.key({ alg: "ES256", kid }, { payload: "", signature: "" })).then(
      () => true,
      () => false,
    );
  await eventually(() => isKnown("second"), "the new key");
  expect(await isKnown("first")).toBe(false);
});

test("keys that cannot be fetched at the start are a problem with file and position, and no listener opens", async () => {
  const issuer = await startIssuer();
  const start = async (jwks: string) => {
    const routes = {
      feed: {
        match: { path: "/feed" },
        upstream: "http://127.0.0.1:1",
        auth: { jwt: issuer.config({ jwks }) },
      },
    };
    const config = inlineConfig({ routes });
    const named = {
      ...config,
      routes: config.routes.map((route) => ({ ...route, file: "config/routes/feed.yaml" })),
    };
    const gateway = createGateway(named, { log: pino({ enabled: false }) });
    afterTest(() => gateway.close());
    return gateway.listen();
  };
  const problemOf = async (jwks: string): Promise<string> => {
    const error = await start(jwks).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  };
  const place = "config/routes/feed.yaml auth.jwt.jwks: cannot get the keys";
  expect(await problemOf(`http://127.0.0.1:${await refusedPort()}/`)).toBe(`${place}: ECONNREFUSED`);
  expect(await problemOf("missing/jwks.json")).toContain(`${place}: ENOENT`);

  const answers: [string, Issuer["respond"]][] = [
    ["status 302", (response) => response.writeHead(302, { location: "/jwks.json" }).end()],
    ["not JSON", (response) => response.end("<html>")],
    ["no JSON Web Key Set with at least one public key", (response) => response.end('{"keys":[]}')],
    [
      "no JSON Web Key Set with at least one public key",
      (response) => response.end('{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'),
    ],
    ["more than 262144 bytes", (response) => response.end(`{"keys":[${" ".repeat(300_000)}]}`)],
  ];
  for (const [reason, respond] of answers) {
    issuer.respond = respond;
    expect(await problemOf(issuer.url)).toBe(`${place}: ${reason}`);
  }
  issuer.respond = undefined;
  await expect(start(issuer.url)).resolves.toHaveLength(1);
});

test("keys can come from a file", async () => {
  const issuer = await startIssuer();
  const directory = mkdtempSync(join(tmpdir(), "jwks-"));
  afterTest(() => rm(directory, { recursive: true }));
  const path = join(directory, "jwks.json");
  await writeFile(path, JSON.stringify({ keys: issuer.keys.map(({ publicJwk }) => publicJwk) }));
  const backend = await startPlainBackend();
  const gateway = await startGatewayTo(backend.url, { auth: { jwt: issuer.config({ jwks: path }) } });
  expect(await statusWith(gateway.url, await issuer.token())).toBe(200);
  expect(issuer.fetches).toBe(0);
});
