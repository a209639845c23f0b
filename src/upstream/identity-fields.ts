import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { withoutCookie } from "../http/cookie.ts";
import type { FieldName } from "../http/field-name.ts";
import type { RawFields } from "../http/fields.ts";
import { namePatterns, nameSet } from "../http/name-set.ts";
import { requestTrailers } from "../http/trailers.ts";
import { editedNames } from "./edited-fields.ts";

/** The field that names the app of a request to the backend; a client must not be able to set it. */
const APP_ID = "x-app-id";

/**
 * Fields with which a backend would execute another request than the allowed one, such as a DELETE instead of a GET.
 */
const METHOD_OVERRIDES = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/** Names that are removed from a client's request wherever the gateway verifies a credential. */
const ALWAYS_ASSERTED = [APP_ID, ...METHOD_OVERRIDES];

const NONE: readonly string[] = [];

/** A test for names of fields. */
type NameTest = (name: FieldName) => boolean;

const isAppId: NameTest = ({ canonical }) => canonical === APP_ID;
const isTwinOfAppId: NameTest = ({ lower, canonical }) => canonical === APP_ID && lower !== canonical;

/**
 * Returns a test for the fields of a client's request that only the gateway may set, or that were for the gateway.
 *
 * X-App-Id is one even on a route without `auth`, because its backend may serve other routes too, and trust the field.
 * There is one exception on such a route: the X-App-Id of a trusted proxy, which may be another gateway, is forwarded in
 * the exact spelling that gateways write.
 *
 * If a credential is forwarded, its twins are not: they were not verified, and a CGI backend reads a twin as the
 * credential.
 */
export function takenNames(exchange: Exchange, route: Route): NameTest {
  return takenOn(exchange, route, exchange.client.isTrusted ? isTwinOfAppId : isAppId);
}

/**
 * Returns a request's fields with the verified identity behind them, and without the credential that a cookie held for
 * the gateway.
 */
export function withIdentity(fields: string[], { principal, consumed }: Exchange): string[] {
  for (const [name, value] of principal?.fields ?? []) fields.push(name, value);
  return consumed.credentialCookie === undefined ? fields : withoutCookie(fields, consumed.credentialCookie);
}

/** Returns a request's trailer fields without the names that the gateway or the route decides on. */
export function withoutIdentity(rawTrailers: RawFields, exchange: Exchange, route: Route): string[] {
  const isTaken = takenOn(exchange, route, isAppId);
  const credentials = namePatterns(route.auth?.credentialFields ?? NONE);
  const sets = [nameSet(ALWAYS_ASSERTED), nameSet(editedNames(route)), credentials];
  return requestTrailers(rawTrailers, (name) => isTaken(name) || sets.some((set) => set.has(name)));
}

/** Like `takenNames`; `isUnverified` tests the names on a route without `auth`. */
function takenOn({ consumed }: Exchange, { auth }: Route, isUnverified: NameTest): NameTest {
  const isSetByGateway = auth === undefined ? isUnverified : setWith(auth);
  if (consumed.credentialFields === undefined) return isSetByGateway;
  const used = namePatterns(consumed.credentialFields);
  const forwarded = namePatterns(consumed.forwardedFields ?? NONE);
  const isForwarded: NameTest = (name) => forwarded.has(name) && !forwarded.hasTwinOf(name);
  return (name) => isSetByGateway(name) || (used.has(name) && !isForwarded(name));
}

const testsByAuth = new WeakMap<NonNullable<Route["auth"]>, NameTest>();

/** Returns a test for the names that a client may not set on a route with `auth`, and for twins of its credentials. */
function setWith(auth: NonNullable<Route["auth"]>): NameTest {
  const known = testsByAuth.get(auth);
  if (known !== undefined) return known;
  const asserted = nameSet([...auth.identityFields, ...ALWAYS_ASSERTED]);
  const credentials = namePatterns([...auth.credentialFields, APP_ID]);
  const test: NameTest = (name) => asserted.has(name) || credentials.hasTwinOf(name);
  testsByAuth.set(auth, test);
  return test;
}
