import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "./exchange.ts";
import type { Principal, Spent } from "./principal.ts";
import type { Stage } from "./route.ts";

/** One kind of credential that a route takes. */
export interface Verifier extends Spent {
  /** What logs call it. */
  readonly name: string;
  /** Its name in WWW-Authenticate, which RFC 9110 section 11.6.1 wants with every 401. */
  readonly challenge?: string;
  /** A browser sends it of its own accord, as it does cookies: asked only when nothing else was presented. */
  readonly isAmbient?: boolean;
  /** Fields by which it tells the backend who asks; what a client sends under these names is taken off. */
  readonly identityFields?: readonly string[];
  /**
   * The principal; undefined when the request carries no credential of this kind, right or wrong. One that is
   * wrong is a ProxyError, `auth_failed` by `authFailed` or `app_not_authorized`.
   */
  verify(exchange: Exchange): Promise<Principal | undefined>;
}

/** Who may use a route, compiled. */
export interface Auth {
  readonly stage: Stage;
  /** The value of WWW-Authenticate; empty for none. */
  readonly challenge: string;
  /** See `Verifier.identityFields`; those of every verifier, because a client would pick one that is not asked. */
  readonly identityFields: readonly string[];
  /** The fields of every credential that the route takes; other spellings of them are none. */
  readonly credentialFields: readonly string[];
}

/** The one refusal for every wrong credential; the reason is for the log alone. */
export function authFailed(reason: string, cause?: unknown): ProxyError {
  return new ProxyError("auth_failed", reason, { cause });
}

/**
 * Asks every verifier; exactly one has to know the request.
 *
 * Two credentials are refused even if both are right: they may name two principals, and whoever reads the
 * request next could pick the other one. With `forward` the credential goes on to the backend.
 */
export function createAuth(verifiers: readonly Verifier[], { forward }: { readonly forward: boolean }): Auth {
  // Ambient ones last, so that it is known whether anything else was there.
  const explicit = verifiers.filter(({ isAmbient }) => isAmbient !== true);
  const ambient = verifiers.filter(({ isAmbient }) => isAmbient === true);

  async function stage(exchange: Exchange): Promise<undefined> {
    const found = (await presented(explicit, exchange)) ?? (await presented(ambient, exchange));
    if (found === undefined) throw authFailed("no credential");
    exchange.principal = found.principal;
    if (!forward) exchange.spent = found.verifier;
  }

  const challenges = verifiers.flatMap(({ challenge }) => challenge ?? []);
  return {
    stage,
    challenge: [...new Set(challenges)].join(", "),
    identityFields: verifiers.flatMap(({ identityFields }) => identityFields ?? []),
    credentialFields: verifiers.flatMap(({ credentialFields }) => credentialFields ?? []),
  };
}

interface Presented {
  readonly verifier: Verifier;
  readonly principal: Principal;
}

async function presented(verifiers: readonly Verifier[], exchange: Exchange): Promise<Presented | undefined> {
  let found: Presented | undefined;
  for (const verifier of verifiers) {
    const principal = await verifier.verify(exchange);
    if (principal === undefined) continue;
    if (found !== undefined) throw authFailed(`both ${found.verifier.name} and ${verifier.name}`);
    found = { verifier, principal };
  }
  return found;
}
