/**
 * A browser's decision about a response, step by step according to the Fetch standard. It is written from the
 * standard's text, not from our code, and reads only the bytes of the reply.
 */
export interface BrowserRequest {
  readonly origin: string;
  readonly method: string;
  /** The CORS-unsafe request-header names, lower case. */
  readonly unsafeNames: readonly string[];
  readonly withCredentials: boolean;
}

type Fields = readonly (readonly [string, string])[];

// "get a header": the values of that name joined with ", ", or null.
function get(fields: Fields, name: string): string | null {
  const values = fields
    .filter(([other]) => other.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value);
  return values.length === 0 ? null : values.join(", ");
}

// "extract header list values", for a list of tokens.
function list(fields: Fields, name: string): string[] | null {
  return (
    get(fields, name)
      ?.split(",")
      .map((item) => item.trim()) ?? null
  );
}

/** Fetch section 4.10, CORS check. */
export function corsCheck(request: BrowserRequest, fields: Fields): boolean {
  const origin = get(fields, "Access-Control-Allow-Origin");
  if (origin === null) return false;
  if (!request.withCredentials && origin === "*") return true;
  if (request.origin !== origin) return false;
  if (!request.withCredentials) return true;
  return get(fields, "Access-Control-Allow-Credentials") === "true";
}

/** Fetch section 4.8, CORS-preflight fetch, from step 7 on. */
export function preflightPasses(request: BrowserRequest, reply: { status: number; fields: Fields }): boolean {
  if (!corsCheck(request, reply.fields) || reply.status < 200 || reply.status > 299) return false;
  const methods = list(reply.fields, "Access-Control-Allow-Methods") ?? [request.method];
  const names = (list(reply.fields, "Access-Control-Allow-Headers") ?? []).map((name) => name.toLowerCase());
  const isWild = (items: readonly string[]) => !request.withCredentials && items.includes("*");
  const isSafelisted = ["GET", "HEAD", "POST"].includes(request.method);
  if (!methods.includes(request.method) && !isSafelisted && !isWild(methods)) return false;
  if (request.unsafeNames.includes("authorization") && !names.includes("authorization")) return false;
  return request.unsafeNames.every((name) => names.includes(name) || isWild(names));
}

/** The preflight that a browser sends for a request (Fetch section 4.8, steps 1 to 5). */
export function preflightOf(request: BrowserRequest): string[] {
  const raw = ["Origin", request.origin, "Access-Control-Request-Method", request.method];
  const names = [...new Set(request.unsafeNames)].sort();
  return names.length === 0 ? raw : [...raw, "Access-Control-Request-Headers", names.join(",")];
}
