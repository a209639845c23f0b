import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";
import { afterTest } from "./after-test.ts";

/** One key of the issuer. */
export interface IssuerKey {
  readonly kid: string;
  readonly alg: string;
  readonly publicJwk: JWK;
  readonly privateKey: CryptoKey;
}

/** The parts of a token that may be wrong; the rest is right. */
export interface TokenOptions {
  readonly key?: IssuerKey;
  /** Claims that replace the right ones; undefined omits a claim. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly expiresIn?: number;
  readonly header?: Readonly<Record<string, unknown>>;
}

/** Returns the seconds since the epoch, the unit of claims. */
export const epoch = (fromNow = 0): number => Math.floor(Date.now() / 1000) + fromNow;

/** Creates a key pair with a name. */
export async function createKey(kid: string, alg = "ES256"): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" }, privateKey };
}

/** An issuer of tokens with a key set to fetch; it can also fail. */
export class Issuer {
  readonly issuer = "https://id.test";
  readonly audience = "stream-api";
  readonly url: string;
  keys: IssuerKey[];
  /** The number of requests for the keys so far. */
  fetches = 0;
  /** Replaces the response with the keys. */
  respond: ((response: ServerResponse) => void) | undefined;

  constructor(url: string, key: IssuerKey) {
    this.url = url;
    this.keys = [key];
  }

  /** `auth.jwt` for this issuer. */
  config(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
    return { issuer: this.issuer, audience: this.audience, jwks: this.url, ...more };
  }

  /** Creates a token that is right except for the options. */
  token({ key, claims = {}, expiresIn = 300, header = {} }: TokenOptions = {}): Promise<string> {
    const { kid, alg, privateKey } = (key ?? this.keys.at(-1)) as IssuerKey;
    const payload: Record<string, unknown> = {
      iss: this.issuer,
      aud: this.audience,
      sub: "anna",
      exp: epoch(expiresIn),
      ...claims,
    };
    return new SignJWT(payload as JWTPayload).setProtectedHeader({ alg, kid, ...header }).sign(privateKey);
  }
}

/** Starts an issuer on a free port; closes it when the test ends. */
export async function startIssuer(): Promise<Issuer> {
  const server = createServer((_request, response) => {
    issuer.fetches += 1;
    if (issuer.respond !== undefined) return issuer.respond(response);
    response.setHeader("Content-Type", "application/jwk-set+json");
    response.end(JSON.stringify({ keys: issuer.keys.map(({ publicJwk }) => publicJwk) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const issuer = new Issuer(`http://127.0.0.1:${port}/jwks.json`, await createKey("first"));
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  return issuer;
}
