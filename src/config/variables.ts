import * as z from "zod";

/** A variable as in an API gateway: `#Name#` in a backend's URL or in `rewrite.addPrefix`, with a value per environment. */
const REFERENCE = /#([A-Za-z0-9_-]{3,32})#/g;

const EXPECTED_NAME = "expected a variable name of 3 to 32 letters, digits, - and _";
const EXPECTED_VALUE = "expected 1 to 255 letters, digits and _-/.:";

export const variablesSchema = z
  .record(
    z.string().regex(/^[A-Za-z0-9_-]{3,32}$/, EXPECTED_NAME),
    z.union([z.string().regex(/^[A-Za-z0-9_\-/.:]{1,255}$/, EXPECTED_VALUE), z.int()], EXPECTED_VALUE),
  )
  .prefault({})
  .describe("Values of #Name# in backend URLs and rewrite.addPrefix; names are case-sensitive.");

/** Returns the problem of a text with a reference that was not filled in; undefined without one. */
export function unsetVariable(text: string): string | undefined {
  const name = text.match(REFERENCE)?.[0];
  return name === undefined
    ? undefined
    : `the variable ${name} is not set in the variables of this environment`;
}

/**
 * Fills in a route file's variables before validation, which refuses references that are left.
 *
 * An environment does not inherit the route's variables: a forgotten one must not send the test environment's requests
 * to the production backend. Without an `upstream` or `rewrite` of its own, an environment uses the route's with its own
 * variables.
 */
export function withVariables(file: unknown): unknown {
  if (!isRecord(file)) return file;
  const { stages } = file;
  const filled = expand(file, file["variables"]);
  if (!isRecord(stages)) return filled;
  const environments = Object.entries(stages).map(([name, own]) => [name, inherit(file, own)]);
  return { ...filled, stages: Object.fromEntries(environments) };
}

/**
 * Fills in the variables of `defaults`. A text with a variable that only the routes set is replaced by a valid one, so
 * that the other keys can be checked.
 */
export function withStandIns(defaults: unknown): unknown {
  return isRecord(defaults) ? expand(defaults, defaults["variables"], STAND_INS) : defaults;
}

const STAND_INS = { url: "http://variable", addPrefix: "/variable" } as const;

function inherit(file: Readonly<Record<string, unknown>>, environment: unknown): unknown {
  if (!isRecord(environment)) return environment;
  const { upstream, mock, rewrite } = file;
  const hasDestination = "upstream" in environment || "mock" in environment;
  const destination = { ...(upstream !== undefined && { upstream }), ...(mock !== undefined && { mock }) };
  const whole = {
    ...(!hasDestination && destination),
    ...(rewrite !== undefined && { rewrite }),
    ...environment,
  };
  return expand(whole, environment["variables"]);
}

/** Returns a copy with the variables filled in where they are allowed. */
function expand(
  part: Readonly<Record<string, unknown>>,
  variables: unknown,
  standIns: Partial<typeof STAND_INS> = {},
): Record<string, unknown> {
  const { upstream, rewrite } = part;
  const fillAs = (key: keyof typeof STAND_INS) => (value: unknown) => {
    if (typeof value !== "string") return value;
    const text = filled(value, variables);
    return unsetVariable(text) === undefined ? text : (standIns[key] ?? text);
  };
  const fill = fillAs("url");
  const copy: Record<string, unknown> = { ...part };
  if ("upstream" in part) copy["upstream"] = isRecord(upstream) ? withUrls(upstream, fill) : fill(upstream);
  if (isRecord(rewrite) && "addPrefix" in rewrite) {
    copy["rewrite"] = { ...rewrite, addPrefix: fillAs("addPrefix")(rewrite["addPrefix"]) };
  }
  return copy;
}

function withUrls(upstream: Readonly<Record<string, unknown>>, fill: (value: unknown) => unknown): unknown {
  const { backends } = upstream;
  if (!Array.isArray(backends)) return upstream;
  const filledIn = backends.map((backend: unknown) =>
    isRecord(backend) && "url" in backend ? { ...backend, url: fill(backend["url"]) } : fill(backend),
  );
  return { ...upstream, backends: filledIn };
}

function filled(text: string, variables: unknown): string {
  return text.replace(REFERENCE, (reference, name: string) => {
    const value = isRecord(variables) && Object.hasOwn(variables, name) ? variables[name] : undefined;
    return typeof value === "string" || typeof value === "number" ? String(value) : reference;
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
