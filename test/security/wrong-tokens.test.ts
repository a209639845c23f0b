import { type CryptoKey, exportSPKI, importJWK, SignJWT, UnsecuredJWT } from "jose";
import { expect, test } from "vitest";
import { AUTH_FAILED, refusalOf, startPlainBackend } from "../support/answers.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { createKey, epoch, type Issuer, startIssuer } from "../support/issuer.ts";

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Returns a token with another payload and the signature of a valid one. */
function tampered(token: string): string {
  const [header, , signature] = token.split(".");
  return [header, encode({ iss: "https://id.test", sub: "root", exp: epoch(300) }), signature].join(".");
}

/** RFC 8725 section 2.1: the public key, which is known to all, used as a shared secret. */
async function signedWithPublicKey(issuer: Issuer): Promise<string> {
  const jwk = issuer.keys[0]?.publicJwk ?? {};
  const pem = await exportSPKI((await importJWK(jwk, "ES256")) as CryptoKey);
  return new SignJWT({ iss: issuer.issuer, aud: issuer.audience, sub: "anna", exp: epoch(300) })
    .setProtectedHeader({ alg: "HS256", kid: "first" })
    .sign(new TextEncoder().encode(pem));
}

async function wrongTokens(issuer: Issuer): Promise<Record<string, string>> {
  const good = await issuer.token();
  const stranger = await createKey("first");
  const claims = { iss: issuer.issuer, aud: issuer.audience, sub: "anna", exp: epoch(300) };
  return {
    expired: await issuer.token({ expiresIn: -1 }),
    "not yet valid": await issuer.token({ claims: { nbf: epoch(60) } }),
    "for another audience": await issuer.token({ claims: { aud: "other-api" } }),
    "without audience": await issuer.token({ claims: { aud: undefined } }),
    "of another issuer": await issuer.token({ claims: { iss: "https://evil.test" } }),
    "without expiry": await issuer.token({ claims: { exp: undefined } }),
    "with an expiry that is no number": await issuer.token({ claims: { exp: "9999999999" } }),
    "without subject": await issuer.token({ claims: { sub: undefined } }),
    "with an empty subject": await issuer.token({ claims: { sub: "" } }),
    "signed by a stranger under a known key id": await issuer.token({ key: stranger }),
    "with its own key in the header": await issuer.token({
      key: stranger,
      header: { jwk: stranger.publicJwk },
    }),
    "with a key server in the header": await issuer.token({
      key: stranger,
      header: { jku: "http://127.0.0.1:1/jwks.json" },
    }),
    "of an unknown key": await issuer.token({ header: { kid: "unknown" } }),
    "with an extension that nobody knows": good.replace(
      /^[^.]+/,
      encode({ alg: "ES256", kid: "first", crit: ["x"], x: 1 }),
    ),
    "signed with the public key as a secret": await signedWithPublicKey(issuer),
    unsigned: new UnsecuredJWT(claims).encode(),
    "unsigned, in another spelling": `${encode({ alg: "nOnE" })}.${encode(claims)}.`,
    "without its signature": good.replace(/[^.]+$/, ""),
    "with another payload": tampered(good),
    "without its last character": good.slice(0, -1),
    "with one dot more": `${good}.`,
    empty: "",
    "no token at all": "letmein",
  };
}

test("every wrong token gets the same 401, and the backend gets no request", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await startGatewayTo(backend.url, { auth: { jwt: issuer.config() } });
  const send = (authorization: string) => fetch(gateway.url, { headers: { authorization } });

  for (const [name, token] of Object.entries(await wrongTokens(issuer))) {
    const response = await send(`Bearer ${token}`);
    expect(response.headers.get("www-authenticate"), name).toBe("Bearer");
    expect(await refusalOf(response), name).toEqual(AUTH_FAILED);
  }
  expect(await refusalOf(await fetch(gateway.url))).toEqual(AUTH_FAILED);
  expect(await refusalOf(await send("Basic YTpi"))).toEqual(AUTH_FAILED);
  expect(backend.connections).toHaveLength(0);

  // Control: a valid token is accepted, in any case of the scheme.
  expect((await send(`Bearer ${await issuer.token()}`)).status).toBe(200);
  expect((await send(`bearer ${await issuer.token()}`)).status).toBe(200);
});

test("an algorithm that is not on the list is refused, even if its key is known", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const rsa = await createKey("rsa", "RS256");
  issuer.keys.push(rsa);
  const jwt = issuer.config({ algorithms: ["ES256"] });
  const gateway = await startGatewayTo(backend.url, { auth: { jwt } });
  const send = async (token: string) =>
    (await fetch(gateway.url, { headers: { authorization: `Bearer ${token}` } })).status;

  expect(await send(await issuer.token({ key: rsa }))).toBe(401);
  expect(await send(await issuer.token({ key: issuer.keys[0] ?? rsa }))).toBe(200);
});

test("two credentials are refused, even if both are right", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const code = "c".repeat(64);
  const gateway = await startGateway({
    apps: { shop: { key: "shop", secret: "s".repeat(16), appCodes: [code] } },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        auth: { appCode: true, jwt: issuer.config({ cookie: "session" }) },
      },
    },
  });
  const token = await issuer.token();
  const send = async (headers: [string, string][]) => (await fetch(gateway.url, { headers })).status;

  expect(await send([["Authorization", `Bearer ${token}`]])).toBe(200);
  expect(await send([["X-Apig-AppCode", code]])).toBe(200);
  expect(
    await send([
      ["Authorization", `Bearer ${token}`],
      ["X-Apig-AppCode", code],
    ]),
  ).toBe(401);
  // A browser sends cookies without being asked, so a cookie beside another credential is ignored.
  expect(
    await send([
      ["Cookie", "session=stale"],
      ["X-Apig-AppCode", code],
    ]),
  ).toBe(200);
  expect(backend.requests).toHaveLength(3);
});
