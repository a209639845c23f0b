import { createHash } from "node:crypto";
import { ProxyError } from "../base/errors.ts";
import type { ResumeConfig } from "../config/resume-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { takeTargetParameter } from "../exchange/take-parameter.ts";
import { fieldValue, fieldValues } from "../http/fields.ts";
import { percentDecoded } from "../http/percent-encoding.ts";

/** The longest key, in bytes. */
const MAX_KEY_BYTES = 255;

/** An ID in the query of a GET or DELETE: 128 bits in base64url, as `Answers` makes them. */
const ID_PAIR = /^answer=[\w-]{22}$/;

/** The name that a client gives its request, or the ID that sluice gave the answer. */
export interface AnswerName {
  /** A hash of everything that the answer belongs to, and of the key; undefined if the request has an ID instead. */
  readonly name: string | undefined;
  readonly id: string | undefined;
  /** A hash of route, environment, host, path and query, and of the owner on a route with auth. */
  readonly scope: string;
  /** A hash of the owner as `by` tells clients apart; undefined if the request lacks a field of `by`. */
  readonly owner: string | undefined;
  /** The path and query for Location, without the ID. */
  readonly target: string;
  /** Bytes as latin1; empty for the start. */
  readonly lastEventId: string;
}

/**
 * Reads how a request names an answer; undefined if it does not. Takes the parameters of a GET or DELETE out of its
 * query. Throws `bad_request` for a key that is too long, that has control characters, or that is there twice.
 */
export function readName(exchange: Exchange, route: Route, config: ResumeConfig): AnswerName | undefined {
  const { method, rawHeaders } = exchange.request;
  const key = readKey(exchange, config.key);
  const isPost = method === "POST";
  if (!isPost && method !== "GET" && method !== "HEAD" && method !== "DELETE") return undefined;
  const id = isPost ? undefined : takeId(exchange);
  if (key === undefined && id === undefined) return undefined;
  const appended = isPost ? undefined : takeTargetParameter(exchange, "lastEventId", decoded).at(-1);
  const lastEventId = fieldValue(rawHeaders, "last-event-id") || exchange.lastEventId || appended || "";
  const { path, query } = exchange.target;
  const owner = ownerOf(exchange, route, config);
  const parts = [route.config.name, route.environment, exchange.host, exchange.client.host, path, query];
  // On a route without auth the ID alone opens an answer: an EventSource cannot send the fields of `by`.
  const scope = hashOf([...parts, route.auth === undefined ? "" : (owner ?? "")]);
  const name = key === undefined || id !== undefined ? undefined : hashOf([scope, owner ?? "", key]);
  return { name, id, scope, owner, target: path + query, lastEventId };
}

/**
 * Takes the last ID, which Location gave, out of a request's query; undefined without one. A parameter of this name whose value is
 * no ID is the application's own.
 */
function takeId(exchange: Exchange): string | undefined {
  const { path, query } = exchange.target;
  const pairs = query.slice(1).split("&");
  const at = pairs.findLastIndex((pair) => ID_PAIR.test(pair));
  if (at < 0) return undefined;
  const [pair = ""] = pairs.splice(at, 1);
  exchange.foundTarget({ path, query: pairs.length === 0 ? "" : `?${pairs.join("&")}` });
  return pair.slice("answer=".length);
}

/** Returns the key of a request; undefined without one. An empty key is none. */
function readKey({ request }: Exchange, field: string): string | undefined {
  const [key = "", ...more] = fieldValues(request.rawHeaders, field.toLowerCase());
  if (more.length > 0) throw new ProxyError("bad_request", `more than one ${field}`);
  // Header fields are read as latin1: a character is a byte.
  if (key.length > MAX_KEY_BYTES) throw new ProxyError("bad_request", `${field}: more than 255 bytes`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
  if (/[\x00-\x1f\x7f]/.test(key)) throw new ProxyError("bad_request", `${field}: a control character`);
  return key === "" ? undefined : key;
}

/** On a route with auth the principal always counts, whatever `by` names. */
function ownerOf(
  { principal, request }: Exchange,
  { auth }: Route,
  { by = [] }: ResumeConfig,
): string | undefined {
  if (auth !== undefined && principal === undefined) return undefined;
  const parts = [principal === undefined ? "" : `=${principal.key}`];
  for (const part of by) {
    if (part === "principal") continue;
    const values = fieldValues(request.rawHeaders, part.slice("header:".length));
    if (values.length === 0) return undefined;
    // With the name: after a reload that changes `by`, a value of another field must not open earlier answers.
    parts.push(part + JSON.stringify(values));
  }
  return hashOf(parts);
}

/** Each part is preceded by its length, so that no part can look like two. */
function hashOf(parts: readonly string[]): string {
  const text = parts.map((part) => `${part.length}:${part}`).join("");
  return createHash("sha256").update(text).digest("base64url").slice(0, 32);
}

const decoded = (text: string): string => percentDecoded(text.replaceAll("+", " "));
