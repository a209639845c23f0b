import { ownText } from "../base/own-text.ts";
import { FRAMING, HOP_BY_HOP, SET_BY_GATEWAY } from "./field-kinds.ts";

/** A spelling of a field's name, with what is derived from it. */
export interface FieldName {
  /** The name as spelled; one string shared by all fields of that spelling. */
  readonly spelled: string;
  readonly lower: string;
  /**
   * In lower case, with `-` for every character other than letters and digits: CGI writes each of them as `_` (RFC 3875
   * section 4.1.18; lighttpd does so for all), so `X_App_Id` and `X~App~Id` look like `X-App-Id`.
   */
  readonly canonical: string;
  /** The text before its value in a head: a line break, the name as spelled, a colon and a space. */
  readonly lineStart: string;
  /** Whether it belongs to one connection. */
  readonly isHopByHop: boolean;
  /** Whether it frames a body. */
  readonly isFraming: boolean;
  /**
   * Whether it is an X-Accel-* that a backend must not send: it would control the nginx in front, where X-Accel-Redirect
   * opens internal locations.
   */
  readonly isAccel: boolean;
  /** Whether a backend must not get it from a client, because it could read it as a field of the gateway. */
  readonly isOfGateway: boolean;
  /** Whether it is a valid name (RFC 9110 section 5.1): no character in it ends the line, or the name itself. */
  readonly isToken: boolean;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * The maximum number of spellings that are remembered: a few dozen recur, and a client that invents others only empties
 * the cache.
 */
const MOST_NAMES = 1_000;
const LONGEST_NAME = 64;

const known = new Map<string, FieldName>();

/** Returns the name that `text` spells; the same object for a spelling that was seen before. */
export function fieldName(text: string): FieldName {
  const found = known.get(text);
  if (found !== undefined) return found;
  const spelled = ownText(text);
  const lower = text.toLowerCase();
  const canonical = lower.replace(/[^0-9a-z]/g, "-");
  const name = {
    spelled,
    lower,
    canonical,
    lineStart: `\r\n${spelled}: `,
    isHopByHop: HOP_BY_HOP.has(lower),
    isFraming: FRAMING.has(lower),
    isAccel: lower.startsWith("x-accel-") && lower !== "x-accel-buffering",
    isOfGateway: HOP_BY_HOP.has(canonical) || SET_BY_GATEWAY.has(canonical),
    isToken: TOKEN.test(text),
  };
  if (text.length > LONGEST_NAME) return name;
  if (known.size >= MOST_NAMES) known.clear();
  known.set(spelled, name);
  return name;
}
