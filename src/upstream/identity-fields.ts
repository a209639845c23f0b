import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { type FieldName, fieldName } from "../http/field-name.ts";
import { fieldValues, type RawFields } from "../http/fields.ts";
import { type NameSet, namePatterns, nameSet } from "../http/name-set.ts";
import { requestTrailers } from "../http/trailers.ts";
import { editedNames } from "./edited-fields.ts";

/** The field by which the gateway tells the backend which app asks; a client must not be able to give it. */
const APP_ID = ["X-App-Id"];

/** With these a backend would take a request for another than the one that was let in: a GET for a DELETE. */
const METHOD_OVERRIDES = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/** What the client says under these names is taken off wherever somebody is verified. */
const ALWAYS_ASSERTED = [...APP_ID, ...METHOD_OVERRIDES];

const NONE: readonly string[] = [];
const NO_NAMES = nameSet(NONE);
const OWN_NAMES = nameSet(APP_ID);

/**
 * A request's fields with what the gateway knows of the principal in place of what the client says, and without
 * the credential that was for the gateway.
 *
 * X-App-Id goes even where nobody is verified: the backend of such a route may serve others too, and believe
 * it. There a trusted proxy, which may be another gateway, keeps its own in the one spelling that gateways write.
 *
 * A twin of a credential goes as well, wherever the credential itself goes on: it was not looked at, and a CGI backend
 * takes it for the one that was.
 */
export function withIdentity(raw: RawFields, exchange: Exchange, route: Route): string[] {
  const { principal, consumed, client } = exchange;
  const isTaken = takenNames(exchange, route, client.isTrusted ? NO_NAMES : OWN_NAMES);
  const fields: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = fieldName(raw[at] ?? "");
    if (isTaken(name)) continue;
    if (name.lower === "cookie" && consumed.credentialCookie !== undefined) continue;
    fields.push(raw[at] ?? "", raw[at + 1] ?? "");
  }
  if (consumed.credentialCookie !== undefined) fields.push(...otherCookies(raw, consumed.credentialCookie));
  for (const [name, value] of principal?.fields ?? []) fields.push(name, value);
  return fields;
}

/** A request's trailers as a backend may read them: without any name that the gateway or the route's file decides on. */
export function withoutIdentity(rawTrailers: RawFields, exchange: Exchange, route: Route): string[] {
  const isTaken = takenNames(exchange, route, OWN_NAMES);
  const credentials = namePatterns(route.auth?.credentialFields ?? NONE);
  const sets = [nameSet(ALWAYS_ASSERTED), nameSet(editedNames(route)), credentials];
  return requestTrailers(rawTrailers, (name) => isTaken(name) || sets.some((set) => set.has(name)));
}

/** Tells which names of the client's are the gateway's to give; `unverified` are those of a route without `auth`. */
function takenNames(
  { consumed }: Exchange,
  { auth }: Route,
  unverified: NameSet,
): (name: FieldName) => boolean {
  const { asserted, exact } = auth === undefined ? { asserted: unverified, exact: OWN_NAMES } : namesOf(auth);
  const used = namePatterns(consumed.credentialFields ?? NONE);
  const forwarded = namePatterns(consumed.forwardedFields ?? NONE);
  const isForwarded = (name: FieldName) => forwarded.has(name) && !forwarded.hasTwinOf(name);
  return (name) => asserted.has(name) || (used.has(name) && !isForwarded(name)) || exact.hasTwinOf(name);
}

interface AuthNames {
  /** What a client may not say of itself. */
  readonly asserted: NameSet;
  /** What has one spelling; its twins are taken off. */
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

function otherCookies(raw: RawFields, consumed: string): string[] {
  const others = fieldValues(raw, "cookie")
    .flatMap((line) => line.split(";"))
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "" && pair.split("=", 1)[0]?.trim() !== consumed);
  return others.length === 0 ? [] : ["Cookie", others.join("; ")];
}
