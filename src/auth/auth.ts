import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ConsumedCredential, Principal } from "../exchange/principal.ts";
import type { Auth } from "../exchange/route.ts";
import type { Step } from "../exchange/step.ts";
import type { FailedAuth } from "../limits/failed-auth.ts";

/** One kind of credential that a route takes. */
export interface Verifier extends ConsumedCredential {
  /** What logs call it. */
  readonly name: string;
  /** Its name in WWW-Authenticate, which RFC 9110 section 11.6.1 wants with every 401. */
  readonly challenge?: string;
  /** A browser sends it of its own accord, as it does cookies: asked only when nothing else was presented. */
  readonly isAmbient?: boolean;
  /** Fields by which it tells the backend who asks; what a client sends under these names is taken off. */
  readonly identityFields?: readonly string[];
  /** Whether the request carries a credential of this kind, right or wrong; computes nothing. */
  isPresented(exchange: Exchange): boolean;
  /**
   * The principal of the credential that is presented. A wrong one is a ProxyError, `auth_failed` by `authFailed` or
   * `app_not_authorized`.
   */
  verify(exchange: Exchange): Promise<Principal>;
}

/** The one refusal for every wrong credential; the reason is for the log alone. */
export function authFailed(reason: string, cause?: unknown): ProxyError {
  return new ProxyError("auth_failed", reason, { cause });
}

/**
 * The refusal of a credential that was right once: expired, or used before.
 *
 * It is no guess, so `limits.failedAuth` does not count it. Pages whose credential has expired ask again and again,
 * and a few of them in one office would lock out all others there.
 */
export class StaleCredential extends ProxyError {
  constructor(reason: string, debugText?: string) {
    super("auth_failed", reason, debugText === undefined ? {} : { debugText });
  }
}

/** Who may use a route, and the step that finds out. */
export interface Authentication extends Auth {
  readonly step: Step;
}

/** How a route handles credentials. */
export interface AuthSetup {
  /** The credential that was verified goes on to the backend. */
  readonly forward: boolean;
  /** Counts wrong ones; undefined for no limit. */
  readonly failures?: Pick<FailedAuth, "check" | "count">;
}

/**
 * Lets a request in by the one credential that it presents.
 *
 * Two are refused, even if both are right and before either is verified: they may name two principals, and whoever
 * reads the request next could pick the other one. An ambient one beside another is no reason to refuse, as a
 * browser sends its cookies with everything; it is not verified, so it does not go on to the backend.
 */
export function createAuth(verifiers: readonly Verifier[], { forward, failures }: AuthSetup): Authentication {
  const ways = verifiers.map((verifier) => ({
    verifier,
    consumed: consumedBy(verifier, verifiers, forward),
  }));
  const explicit = ways.filter(({ verifier }) => verifier.isAmbient !== true);
  const ambient = ways.filter(({ verifier }) => verifier.isAmbient === true);

  async function step(exchange: Exchange): Promise<undefined> {
    const way = presented(explicit, exchange) ?? presented(ambient, exchange);
    if (way === undefined) throw authFailed("no credential");
    failures?.check(exchange);
    try {
      exchange.verified(await way.verifier.verify(exchange));
    } catch (error) {
      if (isGuess(error)) await failures?.count(exchange);
      throw error;
    }
    exchange.consume(way.consumed);
  }

  const challenges = verifiers.flatMap(({ challenge }) => challenge ?? []);
  return {
    step,
    challenge: [...new Set(challenges)].join(", "),
    identityFields: verifiers.flatMap(({ identityFields }) => identityFields ?? []),
    credentialFields: verifiers.flatMap(({ credentialFields }) => credentialFields ?? []),
  };
}

/** A kind of credential, and what is taken off a request that it lets in. */
interface Way {
  readonly verifier: Verifier;
  readonly consumed: ConsumedCredential;
}

function presented(ways: readonly Way[], exchange: Exchange): Way | undefined {
  const [way, second] = ways.filter(({ verifier }) => verifier.isPresented(exchange));
  if (way !== undefined && second !== undefined) {
    throw authFailed(`both ${way.verifier.name} and ${second.verifier.name}`);
  }
  return way;
}

const isGuess = (error: unknown): boolean =>
  error instanceof ProxyError && error.code === "auth_failed" && !(error instanceof StaleCredential);

/**
 * What is taken off a request that one kind of credential has let in: everything in which the route's other kinds
 * travel, because it was not verified and a backend might believe it; and its own fields, unless they go on.
 *
 * `Authorization` of others stays: with a scheme of ours it would have been a second credential, and been refused;
 * with any other scheme it is the backend's own.
 */
function consumedBy(own: Verifier, all: readonly Verifier[], forward: boolean): ConsumedCredential {
  const others = all.filter((verifier) => verifier !== own);
  const ownFields = own.credentialFields ?? [];
  const otherFields = others
    .flatMap(({ credentialFields }) => credentialFields ?? [])
    .filter((name) => name.toLowerCase() !== "authorization");
  const otherCookie = others.find(({ credentialCookie }) => credentialCookie !== undefined)?.credentialCookie;
  return {
    credentialFields: forward ? otherFields : [...otherFields, ...ownFields],
    forwardedFields: forward ? ownFields : [],
    credentialCookie: forward ? otherCookie : (own.credentialCookie ?? otherCookie),
  };
}
