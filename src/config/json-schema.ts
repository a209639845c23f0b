import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { appsSchema } from "./apps-schema.ts";
import { routeSchema } from "./route-schema.ts";
import { serverSchema } from "./server-schema.ts";

/** The part of JSON Schema that sluice's schemas use. */
export interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly [keyword: string]: unknown;
}

/** The schemas of the configuration's files. */
export const SCHEMAS = { route: routeSchema, server: serverSchema, apps: appsSchema } as const;
export type SchemaName = keyof typeof SCHEMAS;

const TITLES: Readonly<Record<SchemaName, string>> = {
  route: "A route of sluice: routes/NAME.yaml",
  server: "The server of sluice: sluice.yaml",
  apps: "The apps of sluice: apps.yaml",
};

/**
 * Returns the JSON Schema of a file for editors, made from the schema that validates it.
 *
 * It is draft 7, which the YAML language server supports completely. A text with `${NAME}` is allowed for every scalar,
 * because the value is known only when the gateway starts.
 */
export function jsonSchema(name: SchemaName): JsonSchema {
  const { $schema, ...schema } = z.toJSONSchema(SCHEMAS[name], {
    io: "input",
    target: "draft-7",
  }) as JsonSchema;
  const { description: _, ...body } = allowVariables(schema);
  return { $schema, title: TITLES[name], ...body, definitions: { variable: VARIABLE } };
}

/**
 * Returns the JSON Schema of a file as it is published: `defaults` refers to the keys of route.json, in the same
 * directory, instead of repeating them.
 */
export function publishedSchema(name: SchemaName): JsonSchema {
  const schema = jsonSchema(name);
  const { defaults, ...others } = schema.properties ?? {};
  if (name !== "server" || defaults === undefined) return schema;
  const short = referring(defaults, jsonSchema("route"), "route.json#");
  return { ...schema, properties: { ...others, defaults: short } };
}

/** Replaces each part of a schema that is equal to the same part of another one by a reference to it. */
function referring(schema: JsonSchema, other: JsonSchema | undefined, pointer: string): JsonSchema {
  if (other === undefined || isScalar(schema)) return schema;
  if (isDeepStrictEqual(schema, other)) return { $ref: pointer };
  const { properties, anyOf, ...rest } = schema;
  const below = Object.entries(properties ?? {}).map(([key, value]) => [
    key,
    referring(value, other.properties?.[key], `${pointer}/properties/${key}`),
  ]);
  return {
    ...rest,
    ...(properties && { properties: Object.fromEntries(below) }),
    ...(anyOf && {
      anyOf: anyOf.map((branch, at) => referring(branch, other.anyOf?.[at], `${pointer}/anyOf/${at}`)),
    }),
  };
}

const VARIABLE_PATTERN = "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}";
const VARIABLE = {
  description: `\${NAME}, or \${NAME:-default}: from the environment.`,
  type: "string",
  pattern: VARIABLE_PATTERN,
};
const OR_VARIABLE = { $ref: "#/definitions/variable" };

function allowVariables(schema: JsonSchema): JsonSchema {
  const { anyOf, properties, additionalProperties, items, ...rest } = schema;
  if (anyOf !== undefined) {
    const branches = anyOf.map((branch) => (isScalar(branch) ? branch : allowVariables(branch)));
    return { ...rest, anyOf: anyOf.some(isNarrowScalar) ? [...branches, OR_VARIABLE] : branches };
  }
  if (isScalar(schema)) return isNarrowScalar(schema) ? orVariable(schema) : schema;
  return {
    ...rest,
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([key, value]) => [key, allowVariables(value)]),
      ),
    }),
    ...(items && { items: allowVariables(items) }),
    ...(additionalProperties !== undefined && {
      additionalProperties:
        typeof additionalProperties === "object"
          ? allowVariables(additionalProperties)
          : additionalProperties,
    }),
  };
}

/** Description and default stay outside of `anyOf`, where editors look for them. */
function orVariable({ description, default: preset, ...leaf }: JsonSchema): JsonSchema {
  return {
    ...(description !== undefined && { description }),
    ...(preset !== undefined && { default: preset }),
    anyOf: [leaf, OR_VARIABLE],
  };
}

const isScalar = ({ type }: JsonSchema): boolean =>
  type !== undefined && ["string", "integer", "number", "boolean", "null"].includes(type);

const isNarrowScalar = (schema: JsonSchema): boolean =>
  isScalar(schema) &&
  (schema.type !== "string" ||
    schema.pattern !== undefined ||
    schema["enum"] !== undefined ||
    schema["const"] !== undefined ||
    schema["allOf"] !== undefined);

/** Returns the known keys at a path, of all branches of a union. */
export function keysAt(schema: JsonSchema, path: readonly PropertyKey[]): readonly string[] {
  const [step, ...rest] = path;
  const branches = schema.anyOf ?? [schema];
  return branches.flatMap((branch) => {
    if (step === undefined) return Object.keys(branch.properties ?? {});
    const next =
      typeof step === "number" ? branch.items : (branch.properties?.[String(step)] ?? named(branch));
    return next === undefined ? [] : keysAt(next, rest);
  });
}

/** Returns the schema of the values of an object whose keys are names, as in apps.yaml. */
export function named({ additionalProperties }: JsonSchema): JsonSchema | undefined {
  return typeof additionalProperties === "object" ? additionalProperties : undefined;
}

/** Returns the path of every key, such as `stream.heartbeat`, with `[]` for the items of a list and `NAME` for names. */
export function keyPaths(schema: JsonSchema, above = ""): readonly string[] {
  return (schema.anyOf ?? [schema]).flatMap((branch) => {
    const entry = named(branch);
    return [
      ...(branch.items === undefined ? [] : keyPaths(branch.items, `${above}[]`)),
      ...(entry === undefined ? [] : keyPaths(entry, joined(above, "NAME"))),
      ...Object.entries(branch.properties ?? {}).flatMap(([key, value]) => {
        const path = joined(above, key);
        return [path, ...keyPaths(value, path)];
      }),
    ];
  });
}

const joined = (above: string, key: string): string => (above === "" ? key : `${above}.${key}`);
