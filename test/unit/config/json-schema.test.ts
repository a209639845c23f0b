import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import * as z from "zod";
import {
  type JsonSchema,
  jsonSchema,
  keyPaths,
  publishedSchema,
  type SchemaName,
} from "../../../src/config/json-schema.ts";

const CONFIG = new URL("../../../config/", import.meta.url);
const textOf = (name: string): string => readFileSync(new URL(name, CONFIG), "utf8");
/** Whether an editor would accept a value. */
const accepts = (name: SchemaName, value: unknown): boolean =>
  z.fromJSONSchema(jsonSchema(name) as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value).success;

test.each(["route", "server", "apps"] as const)(
  "config/schema/%s.json is what `sluice schema` prints",
  (name) => {
    expect(textOf(`schema/${name}.json`)).toBe(`${JSON.stringify(publishedSchema(name), undefined, 2)}\n`);
  },
);

test("server.json refers to the keys of route.json instead of repeating them", () => {
  const references: string[] = [];
  const resolved = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(resolved);
    const { $ref } = value as { $ref?: unknown };
    if (typeof $ref !== "string" || !$ref.startsWith("route.json#/")) {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner)]));
    }
    references.push($ref);
    const steps = $ref.slice("route.json#/".length).split("/");
    return steps.reduce<unknown>(
      (schema, step) => (schema as Record<string, unknown>)[step],
      jsonSchema("route"),
    );
  };
  expect(resolved(publishedSchema("server"))).toEqual(jsonSchema("server"));
  expect(references).toContain("route.json#/properties/cors");
  expect(JSON.stringify(publishedSchema("server")).length).toBeLessThan(40_000);
});

const samples = [
  ...readdirSync(new URL("routes", CONFIG)).map(
    (file) => [`routes/${file}`, "route", "../schema/route.json"] as const,
  ),
  ["sluice.yaml", "server", "schema/server.json"] as const,
];

test.each(samples)("%s names its schema and is valid by it, variables included", (file, name, schema) => {
  const text = textOf(file);
  expect(text.split("\n")[0]).toBe(`# yaml-language-server: $schema=${schema}`);
  expect(accepts(name, parse(text))).toBe(true);
});

describe("an editor refuses what loadConfig refuses", () => {
  const good = { match: { path: "/a" }, upstream: "http://a:1" };

  test("control: the valid file", () => {
    expect(accepts("route", good)).toBe(true);
    expect(
      accepts("route", { ...good, upstream: "https://[::1]:8443/", cors: { allowOrigins: ["*"] } }),
    ).toBe(true);
  });

  test.each([
    ["an upstream with a path", { ...good, upstream: "http://a/b" }],
    ["an upstream that is no URL", { ...good, upstream: "127.0.0.1:80" }],
    ["an unknown key", { ...good, hartbeat: "5s" }],
    ["a bare number as a duration", { ...good, stream: { heartbeat: 5 } }],
    ["a misspelt choice", { ...good, stream: { onClientGone: "cancl" } }],
    ["cors without origins", { ...good, cors: {} }],
    ["an origin with a path", { ...good, cors: { allowOrigins: ["https://a/b"] } }],
    ["a method in lower case", { ...good, match: { path: "/a", methods: ["get"] } }],
    ["a text that only looks like a variable", { ...good, websocket: "$WS" }],
  ])("%s", (_, value) => {
    expect(accepts("route", value)).toBe(false);
  });

  test.each([
    [{ listen: "a:b:c" }],
    [{ listen: 70_000 }],
    [{ trustedProxies: ["example.com"] }],
    [{ log: { level: "wrn" } }],
  ])("%j", (value) => {
    expect(accepts("server", value)).toBe(false);
  });
});

test("every key of both files has a description", () => {
  const silent = (schema: JsonSchema, above: string): string[] =>
    (schema.anyOf ?? [schema]).flatMap((branch) =>
      Object.entries(branch.properties ?? {}).flatMap(([key, value]) => [
        ...(value.description === undefined ? [`${above}${key}`] : []),
        ...silent(value, `${above}${key}.`),
      ]),
    );
  expect([...silent(jsonSchema("route"), ""), ...silent(jsonSchema("server"), "")]).toEqual([]);
});

test("keys are found below lists and unions", () => {
  expect(keyPaths(jsonSchema("route"))).toEqual(
    expect.arrayContaining([
      "match.path",
      "upstream.backends[].url",
      "stream.heartbeat",
      "cors.allowOrigins",
    ]),
  );
});
