import { ownText } from "../base/own-text.ts";

/** What is to be known of a field's name, for each spelling found out once. */
export interface FieldName {
  /** The name itself, of one text for all fields that bear it. */
  readonly spelled: string;
  readonly lower: string;
  /**
   * In lower case, with `-` for every character that is no letter or digit: CGI writes each of them as `_` (RFC 3875
   * section 4.1.18; lighttpd does so for all), and cannot tell `X_App_Id` and `X~App~Id` from `X-App-Id`.
   */
  readonly canonical: string;
  /** It is one (RFC 9110 section 5.1): nothing in it would end the line that it stands in, or the name before its colon. */
  readonly isToken: boolean;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Spellings that are remembered: a few dozen come all the time, and who makes up others gains nothing. */
const MOST_NAMES = 1_000;
const LONGEST_NAME = 64;

const known = new Map<string, FieldName>();

/** What a name is as `text` spells it; of one that was seen before it is the same object, found by one look. */
export function fieldName(text: string): FieldName {
  const found = known.get(text);
  if (found !== undefined) return found;
  const spelled = ownText(text);
  const lower = text.toLowerCase();
  const name = { spelled, lower, canonical: lower.replace(/[^0-9a-z]/g, "-"), isToken: TOKEN.test(text) };
  if (text.length > LONGEST_NAME) return name;
  if (known.size >= MOST_NAMES) known.clear();
  known.set(spelled, name);
  return name;
}
