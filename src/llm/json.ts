/** An object of parsed JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Returns a value if it is a JSON object; undefined for an array, a scalar or null. */
export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

/** Returns the objects of a JSON array; empty for any other value. */
export function objectsOf(value: unknown): readonly JsonObject[] {
  if (!Array.isArray(value)) return [];
  return value.map(objectOf).filter((item) => item !== undefined);
}

/** Whether a value holds something: a text, array or object that is not empty. */
export function isFilled(value: unknown): boolean {
  if (typeof value === "string") return value !== "";
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}
