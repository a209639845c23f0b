import * as z from "zod";

/**
 * Environment variables of the API gateway's kind: `#Name#` in a backend's URL or in `rewrite.addPrefix`
 * stands for a value that each stage has for itself.
 */
const REFERENCE = /#([A-Za-z0-9_-]{3,32})#/g;

const EXPECTED_NAME = "expected a variable name of 3 to 32 letters, digits, - and _";
const EXPECTED_VALUE = "expected 1 to 255 letters, digits and _-/.:";

export const variablesSchema = z
  .record(
    z.string().regex(/^[A-Za-z0-9_-]{3,32}$/, EXPECTED_NAME),
    z.union([z.string().regex(/^[A-Za-z0-9_\-/.:]{1,255}$/, EXPECTED_VALUE), z.int()], EXPECTED_VALUE),
  )
  .prefault({})
  .describe("Values of #Name# in backend URLs and rewrite.addPrefix; names are compared with case.");

/** What a text with a reference left in it is refused with; undefined when there is none. */
export function unsetVariable(text: string): string | undefined {
  const name = text.match(REFERENCE)?.[0];
  return name === undefined ? undefined : `the variable ${name} is not set in variables of this stage`;
}

/**
 * Fills a route file's variables in, before it is validated; what is not set stays, and is refused there.
 *
 * A stage has its own variables and none of the route's: one that was forgotten must not quietly lead the
 * test environment to the production backend. Where a stage says nothing of `upstream` or `rewrite`, the
 * route's are taken with the stage's variables.
 */
export function withVariables(file: unknown): unknown {
  if (!isRecord(file)) return file;
  const { stages } = file;
  const filled = expand(file, file["variables"]);
  if (!isRecord(stages)) return filled;
  const staged = Object.entries(stages).map(([name, stage]) => [name, inherit(file, stage)]);
  return { ...filled, stages: Object.fromEntries(staged) };
}

function inherit(file: Readonly<Record<string, unknown>>, stage: unknown): unknown {
  if (!isRecord(stage)) return stage;
  const { upstream, mock, rewrite } = file;
  const isPlaced = "upstream" in stage || "mock" in stage;
  const place = { ...(upstream !== undefined && { upstream }), ...(mock !== undefined && { mock }) };
  const whole = { ...(!isPlaced && place), ...(rewrite !== undefined && { rewrite }), ...stage };
  return expand(whole, stage["variables"]);
}

/** A copy with the variables filled in, where they may stand. */
function expand(part: Readonly<Record<string, unknown>>, variables: unknown): Record<string, unknown> {
  const { upstream, rewrite } = part;
  const fill = (value: unknown) => (typeof value === "string" ? filled(value, variables) : value);
  const copy: Record<string, unknown> = { ...part };
  if ("upstream" in part) copy["upstream"] = isRecord(upstream) ? withUrls(upstream, fill) : fill(upstream);
  if (isRecord(rewrite) && "addPrefix" in rewrite) {
    copy["rewrite"] = { ...rewrite, addPrefix: fill(rewrite["addPrefix"]) };
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
