import { type JWTPayload, jwtVerify } from "jose";
import { fieldValues } from "../base/fields.ts";
import type { JwtConfig } from "../config/jwt-schema.ts";
import { authFailed, type Verifier } from "./auth.ts";
import { claimFields } from "./claims.ts";
import { cookieValues } from "./cookie.ts";
import { isOwnOrigin } from "./cors.ts";
import type { Exchange } from "./exchange.ts";
import type { Jwks } from "./jwks.ts";
import type { Principal } from "./principal.ts";

/** The verifiers of `auth.jwt`: one for the header field and, when it is configured, one for the cookie. */
export function createJwtVerifiers(config: JwtConfig, jwks: Jwks): readonly Verifier[] {
  const identityFields = Object.keys(config.claims);
  const header: Verifier = {
    name: "jwt",
    challenge: "Bearer",
    identityFields,
    credentialFields: [config.header],
    async verify(exchange) {
      const token = headerToken(exchange, config.header);
      return token === undefined ? undefined : await principalOf(token, config, jwks);
    },
  };
  const { cookie } = config;
  if (cookie === undefined) return [header];
  return [
    header,
    {
      name: "jwt cookie",
      isAmbient: true,
      credentialCookie: cookie,
      async verify(exchange) {
        const token = cookieToken(exchange, cookie);
        return token === undefined ? undefined : await principalOf(token, config, jwks);
      },
    },
  ];
}

function headerToken({ request }: Exchange, header: string): string | undefined {
  const isAuthorization = header.toLowerCase() === "authorization";
  const values = fieldValues(request.rawHeaders, header.toLowerCase());
  // Another scheme is another verifier's, or the backend's own.
  const ours = isAuthorization ? values.filter((value) => /^bearer(?: |$)/i.test(value)) : values;
  const [value] = ours;
  if (value === undefined) return undefined;
  if (values.length > 1) throw authFailed(`${header} occurs twice`);
  return value.replace(/^bearer(?: +|$)/i, "");
}

/**
 * The token of a cookie, which a browser sends along whoever's page asks; so a page of another origin has to
 * be one that `cors` lets in with credentials.
 */
function cookieToken({ request, client, route }: Exchange, name: string): string | undefined {
  const [token, ...more] = cookieValues(request.rawHeaders, name);
  if (token === undefined) return undefined;
  // A sister domain can plant a second one, and nobody knows which of them the backend would read.
  if (more.length > 0) throw authFailed(`the cookie ${name} occurs twice`);
  const policy = route?.config.cors;
  const takesCookies = typeof policy === "object" && policy.allowCredentials;
  for (const origin of fieldValues(request.rawHeaders, "origin")) {
    if (isOwnOrigin(origin, client.host)) continue;
    if (!takesCookies || route?.cors?.allowsOrigin(origin) !== true)
      throw authFailed("cookie of another origin");
  }
  return token;
}

async function principalOf(token: string, config: JwtConfig, jwks: Jwks): Promise<Principal> {
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
    // jose's messages name claims and reasons, never the token.
    throw authFailed(`JWT: ${error instanceof Error ? error.message : "invalid"}`);
  }
}

function subjectOf({ sub }: JWTPayload): string {
  if (typeof sub !== "string" || sub === "") throw new TypeError("sub is no text");
  return sub;
}
