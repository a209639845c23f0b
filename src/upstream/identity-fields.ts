import { fieldName } from "../base/field-name.ts";
import { fieldValues, type RawFields } from "../base/fields.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import type { Route } from "../pipeline/route.ts";

/** The gateway's word on which app asks; a client must not be able to give it. */
const APP_ID = "x-app-id";

/** With these a backend would take a request for another than the one that was let in: a GET for a DELETE. */
const METHOD_OVERRIDES = ["x-http-method-override", "x-http-method", "x-method-override"];

const NONE: ReadonlySet<string> = new Set();
const APP_ID_ALONE: ReadonlySet<string> = new Set([APP_ID]);

/**
 * A request's fields with what the gateway knows of the principal in place of what the client says, and without
 * the credential that was for the gateway.
 *
 * X-App-Id goes even where nobody is verified: the backend of such a route may serve others too, and believe
 * it. There a trusted proxy, which may be another gateway, keeps its own.
 */
export function withIdentity(raw: RawFields, exchange: Exchange, { auth }: Route): string[] {
  const { principal, spent, client } = exchange;
  const unverified = client.isTrusted ? NONE : APP_ID_ALONE;
  const asserted = auth === undefined ? unverified : assertedBy(auth);
  const isSpent = spent.credentialFields === undefined ? isNone : matcher(spent.credentialFields);
  const fields: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const { canonical: name } = fieldName(raw[at] ?? "");
    if (asserted.has(name) || isSpent(name)) continue;
    if (name === "cookie" && spent.credentialCookie !== undefined) continue;
    fields.push(raw[at] ?? "", raw[at + 1] ?? "");
  }
  if (spent.credentialCookie !== undefined) fields.push(...otherCookies(raw, spent.credentialCookie));
  for (const [name, value] of principal?.fields ?? []) fields.push(name, value);
  return fields;
}

function assertedBy({ identityFields }: NonNullable<Route["auth"]>): ReadonlySet<string> {
  return new Set([...identityFields.map(canonicalOf), APP_ID, ...METHOD_OVERRIDES]);
}

const canonicalOf = (name: string): string => fieldName(name).canonical;

const isNone = (): boolean => false;

function matcher(names: readonly string[]): (name: string) => boolean {
  const lower = names.map(canonicalOf);
  const exact = new Set(lower);
  const prefixes = lower.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

function otherCookies(raw: RawFields, spent: string): string[] {
  const others = fieldValues(raw, "cookie")
    .flatMap((line) => line.split(";"))
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "" && pair.split("=", 1)[0]?.trim() !== spent);
  return others.length === 0 ? [] : ["Cookie", others.join("; ")];
}
