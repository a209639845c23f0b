import { ownText } from "./own-text.ts";

/** A field's name in the forms that it is compared in. */
export interface FieldName {
  readonly lower: string;
  /** In lower case with `-` for `_` and `.`: CGI and WSGI backends cannot tell `X_App_Id` and `X.App.Id` from `X-App-Id`. */
  readonly canonical: string;
}

/** Spellings that are remembered: a few dozen come all the time, and who makes up others gains nothing. */
const MOST_NAMES = 1_000;
const LONGEST_NAME = 64;

const known = new Map<string, FieldName>();

/** The forms of a name as it is spelled; of one that was seen before they are the same objects, found by one look. */
export function fieldName(spelled: string): FieldName {
  const found = known.get(spelled);
  if (found !== undefined) return found;
  const lower = spelled.toLowerCase();
  const name = { lower, canonical: lower.replace(/[_.]/g, "-") };
  if (spelled.length > LONGEST_NAME) return name;
  if (known.size >= MOST_NAMES) known.clear();
  known.set(ownText(spelled), name);
  return name;
}
