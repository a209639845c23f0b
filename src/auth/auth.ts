import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ConsumedCredential, Principal } from "../exchange/principal.ts";
import type { Auth } from "../exchange/route.ts";
import type { Step } from "../exchange/step.ts";
import type { FailedAuth } from "../limits/failed-auth.ts";

/** One kind of credential that a route accepts. */
export interface Verifier extends ConsumedCredential {
  /** The name in logs. */
  readonly name: string;
  /** The challenge in WWW-Authenticate, which RFC 9110 section 11.6.1 requires in every 401. */
  readonly challenge?: string;
  /**
   * Whether browsers send it without being asked, as they do cookies; it is used only if no other credential is
   * presented.
   */
  readonly isAmbient?: boolean;
  /** Fields that tell the backend the principal; the same fields of the client are removed. */
  readonly identityFields?: readonly string[];
  /** Whether the request carries a credential of this kind, right or wrong; computes nothing. */
  isPresented(exchange: Exchange): boolean;
  /**
   * Resolves with the principal of the presented credential. Rejects with a ProxyError for a wrong credential:
   * `auth_failed`, made by `authFailed`, or `app_not_authorized`.
   */
  verify(exchange: Exchange): Promise<Principal>;
}

/** Returns the refusal that is the same for every wrong credential; the reason is for the log alone. */
export function authFailed(reason: string, cause?: unknown): ProxyError {
  return new ProxyError("auth_failed", reason, { cause });
}

/**
 * The refusal of a credential that was valid once: expired, or used before.
 *
 * It is not a guess, so `limits.failedAuth` does not count it. A page whose credential has expired tries again and
 * again, and a few such pages in one office would lock out all others there.
 */
export class StaleCredential extends ProxyError {
  constructor(reason: string, debugText?: string) {
    super("auth_failed", reason, debugText === undefined ? {} : { debugText });
  }
}

/** The credentials that a route accepts, and the step that verifies them. */
export interface Authentication extends Auth {
  readonly step: Step;
}

/** How a route handles credentials. */
export interface AuthSetup {
  /** Whether the verified credential is forwarded to the backend. */
  readonly forward: boolean;
  /** Counts wrong credentials; undefined without a limit. */
  readonly failures?: Pick<FailedAuth, "check" | "count">;
}

/**
 * Creates the step that admits a request by the one credential that it presents.
 *
 * Two credentials are refused before either is verified, even if both are right: they may name two principals, and
 * the next reader of the request could choose the other one. An ambient credential beside another is ignored,
 * because browsers send cookies with every request; it is not verified, so it is not forwarded.
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

/** A kind of credential, and what is removed from a request that it admits. */
interface Way {
  readonly verifier: Verifier;
  readonly consumed: ConsumedCredential;
}

function presented(ways: readonly Way[], exchange: Exchange): Way | undefined {
  const [way, second] = ways.filter(({ verifier }) => verifier.isPresented(exchange));
  if (way !== undefined && second !== undefined) {
    throw authFailed(`two credentials: ${way.verifier.name} and ${second.verifier.name}`);
  }
  return way;
}

const isGuess = (error: unknown): boolean =>
  error instanceof ProxyError && error.code === "auth_failed" && !(error instanceof StaleCredential);

/**
 * Returns what is removed from a request that one kind of credential has admitted: the fields of the route's other
 * kinds, because they were not verified and a backend might trust them; and its own fields, unless they are
 * forwarded.
 *
 * `Authorization` of other kinds stays: with one of our schemes it would have been refused as a second credential;
 * with any other scheme it belongs to the backend.
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
