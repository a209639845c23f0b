import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { withoutCookie } from "../http/cookie.ts";
import type { FieldName } from "../http/field-name.ts";
import { type RawFields, removeFields } from "../http/fields.ts";
import { type NameSet, namePatterns, nameSet } from "../http/name-set.ts";
import { requestTrailers } from "../http/trailers.ts";
import { editedNames } from "./edited-fields.ts";

/** The field that names the app of a request to the backend; a client must not be able to set it. */
const APP_ID = ["X-App-Id"];

/**
 * Fields with which a backend would execute another request than the allowed one, such as a DELETE instead of a GET.
 */
const METHOD_OVERRIDES = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/** Names that are removed from a client's request wherever the gateway verifies a credential. */
const ALWAYS_ASSERTED = [...APP_ID, ...METHOD_OVERRIDES];

const NONE: readonly string[] = [];
const NO_NAMES = nameSet(NONE);
const OWN_NAMES = nameSet(APP_ID);

/**
 * Returns a request's fields, edited in place, with the verified identity in place of the client's claims, and without
 * the credential that was for the gateway.
 *
 * X-App-Id is removed even on a route without `auth`, because its backend may serve other routes too, and trust the
 * field. There is one exception on such a route: the X-App-Id of a trusted proxy, which may be another gateway, is
 * forwarded in the exact spelling that gateways write.
 *
 * If a credential is forwarded, its twins are removed: they were not verified, and a CGI backend reads a twin as the
 * credential.
 */
export function withIdentity(fields: string[], exchange: Exchange, route: Route): string[] {
  const { principal, consumed, client } = exchange;
  removeFields(fields, takenNames(exchange, route, client.isTrusted ? NO_NAMES : OWN_NAMES));
  for (const [name, value] of principal?.fields ?? []) fields.push(name, value);
  return consumed.credentialCookie === undefined ? fields : withoutCookie(fields, consumed.credentialCookie);
}

/** Returns a request's trailer fields without the names that the gateway or the route decides on. */
export function withoutIdentity(rawTrailers: RawFields, exchange: Exchange, route: Route): string[] {
  const isTaken = takenNames(exchange, route, OWN_NAMES);
  const credentials = namePatterns(route.auth?.credentialFields ?? NONE);
  const sets = [nameSet(ALWAYS_ASSERTED), nameSet(editedNames(route)), credentials];
  return requestTrailers(rawTrailers, (name) => isTaken(name) || sets.some((set) => set.has(name)));
}

/** Returns a test for the names that only the gateway may set; `unverified` are those of a route without `auth`. */
function takenNames(
  { consumed }: Exchange,
  { auth }: Route,
  unverified: NameSet,
): (name: FieldName) => boolean {
  const { asserted, exact } = auth === undefined ? { asserted: unverified, exact: OWN_NAMES } : namesOf(auth);
  if (consumed.credentialFields === undefined) return (name) => asserted.has(name) || exact.hasTwinOf(name);
  const used = namePatterns(consumed.credentialFields);
  const forwarded = namePatterns(consumed.forwardedFields ?? NONE);
  const isForwarded = (name: FieldName) => forwarded.has(name) && !forwarded.hasTwinOf(name);
  return (name) => asserted.has(name) || (used.has(name) && !isForwarded(name)) || exact.hasTwinOf(name);
}

interface AuthNames {
  /** Names that a client may not set. */
  readonly asserted: NameSet;
  /** Names of which only this exact spelling is forwarded; their twins are removed. */
  readonly exact: NameSet;
}

const namesByAuth = new WeakMap<NonNullable<Route["auth"]>, AuthNames>();

function namesOf(auth: NonNullable<Route["auth"]>): AuthNames {
  const known = namesByAuth.get(auth);
  if (known !== undefined) return known;
  const names = {
    asserted: nameSet([...auth.identityFields, ...ALWAYS_ASSERTED]),
    exact: namePatterns([...auth.credentialFields, ...APP_ID]),
  };
  namesByAuth.set(auth, names);
  return names;
}
