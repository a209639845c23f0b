import * as z from "zod";
import { type JsonSchema, named, SCHEMAS, type SchemaName } from "../../src/config/json-schema.ts";

/** Returns the keys of a configuration file as a Markdown table, from the schema that validates it. */
export function referenceTable(name: SchemaName): string {
  const schema = z.toJSONSchema(SCHEMAS[name], { io: "input" }) as JsonSchema;
  const entry = named(schema);
  const rows =
    entry === undefined ? rowsOf(schema, "", requiredOf(schema)) : rowsOf(entry, "NAME", requiredOf(entry));
  return ["| key | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

function rowsOf(schema: JsonSchema, above: string, required: ReadonlySet<string>): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const path = above === "" ? key : `${above}.${key}`;
    // The keys of a route, which have their own table.
    if (path === "defaults") return [row(path, value, false)];
    const inner = [value, ...(value.anyOf ?? [])].find(({ properties }) => properties !== undefined);
    const items = [value, ...(value.anyOf ?? [])].find(
      (branch) => branch.items?.properties !== undefined,
    )?.items;
    const own = value.description === undefined ? [] : [row(path, value, required.has(key))];
    const below = inner === undefined ? [] : rowsOf(inner, path, requiredOf(inner));
    const each = items === undefined ? [] : rowsOf(items, `${path}[]`, requiredOf(items));
    return [...own, ...below, ...each];
  });
}

const requiredOf = (schema: JsonSchema) => new Set((schema["required"] as string[] | undefined) ?? []);

function row(path: string, { default: preset, description = "" }: JsonSchema, isRequired: boolean): string {
  const isGroup =
    typeof preset === "object" &&
    preset !== null &&
    Object.keys(preset).length === 0 &&
    !Array.isArray(preset);
  const shown = preset === undefined || isGroup ? (isRequired ? "*required*" : "") : `\`${spelled(preset)}\``;
  return `| \`${path}\` | ${shown} | ${description.replaceAll("|", "\\|")} |`;
}

function spelled(preset: unknown): string {
  return Array.isArray(preset) ? `[${preset.join(", ")}]` : String(preset);
}
