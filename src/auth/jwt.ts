import { errors, type JWTPayload, jwtVerify } from "jose";
import type { JwtConfig } from "../config/jwt-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Principal } from "../exchange/principal.ts";
import { cookieValues } from "../http/cookie.ts";
import { fieldValues, type RawFields } from "../http/fields.ts";
import { isOwnOrigin } from "../policy/cors.ts";
import { authFailed, StaleCredential, type Verifier } from "./auth.ts";
import { claimFields } from "./claims.ts";
import type { Jwks } from "./jwks.ts";

/** Creates the verifiers of `auth.jwt`: one for the header field and, if configured, one for the cookie. */
export function createJwtVerifiers(config: JwtConfig, jwks: Jwks): readonly Verifier[] {
  const identityFields = Object.keys(config.claims);
  const header: Verifier = {
    name: "jwt",
    challenge: "Bearer",
    identityFields,
    credentialFields: [config.header],
    isPresented: ({ request }) => headerValues(request.rawHeaders, config.header).length > 0,
    verify: (exchange) => principalOf(() => headerToken(exchange, config.header), config, jwks),
  };
  const { cookie } = config;
  if (cookie === undefined) return [header];
  return [
    header,
    {
      name: "jwt cookie",
      isAmbient: true,
      credentialCookie: cookie,
      isPresented: ({ request }) => cookieValues(request.rawHeaders, cookie).length > 0,
      verify: (exchange) => principalOf(() => cookieToken(exchange, cookie), config, jwks),
    },
  ];
}

/** Returns the values of the token's field; an Authorization field with another scheme does not count. */
function headerValues(raw: RawFields, header: string): string[] {
  const name = header.toLowerCase();
  const values = fieldValues(raw, name);
  // Another scheme belongs to another verifier or to the backend. The match is as lenient as a backend's
  // could be: otherwise `Bearer` and a tab would be no credential here, and could be forwarded beside another one.
  return name === "authorization" ? values.filter((value) => BEARER.test(value)) : values;
}

const BEARER = /^bearer(?![\w!#$%&'*+.^`|~-])/i;

function headerToken({ request }: Exchange, header: string): string {
  const [value = ""] = headerValues(request.rawHeaders, header);
  if (fieldValues(request.rawHeaders, header.toLowerCase()).length > 1) {
    throw authFailed(`${header} occurs twice`);
  }
  return value.replace(/^bearer(?: +|$)/i, "");
}

/**
 * Returns the token of a cookie. A browser sends cookies with requests of any page, so a page of another
 * origin must be allowed by `cors` with credentials.
 */
function cookieToken({ request, client, route }: Exchange, name: string): string {
  const [token = "", ...more] = cookieValues(request.rawHeaders, name);
  // A sibling domain can set a second cookie, and it is not defined which of the two the backend would read.
  if (more.length > 0) throw authFailed(`the cookie ${name} occurs twice`);
  const policy = route?.config.cors;
  const takesCookies = typeof policy === "object" && policy.allowCredentials;
  for (const origin of fieldValues(request.rawHeaders, "origin")) {
    if (isOwnOrigin(origin, client.host)) continue;
    if (!takesCookies || route?.cors?.allowsOrigin(origin) !== true)
      throw authFailed("cookie sent by a page of another origin");
  }
  return token;
}

async function principalOf(read: () => string, config: JwtConfig, jwks: Jwks): Promise<Principal> {
  const token = read();
  try {
    const { payload } = await jwtVerify(token, jwks.key, {
      issuer: config.issuer,
      audience: config.audience,
      algorithms: config.algorithms,
      requiredClaims: ["exp", "sub"],
      clockTolerance: (config.clockTolerance ?? 0) / 1000,
    });
    return {
      app: undefined,
      key: `jwt:${JSON.stringify([config.issuer, subjectOf(payload)])}`,
      fields: claimFields(payload, config.claims),
      expiresAt: (payload.exp ?? 0) * 1000 + (config.clockTolerance ?? 0),
    };
  } catch (error) {
    // jose checks the time last, so the token is a genuine one of the issuer.
    if (error instanceof errors.JWTExpired) throw new StaleCredential(`JWT: ${error.message}`);
    // jose's messages name claims and reasons, never the token.
    throw authFailed(`JWT: ${error instanceof Error ? error.message : "invalid"}`);
  }
}

function subjectOf({ sub }: JWTPayload): string {
  if (typeof sub !== "string" || sub === "") throw new TypeError("sub is not a text");
  return sub;
}
