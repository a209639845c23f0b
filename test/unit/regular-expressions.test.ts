import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseSync, Visitor } from "oxc-parser";
import { checkSync } from "recheck";
import { expect, test } from "vitest";
import { DURATION_PATTERN, SIZE_PATTERN } from "../../src/base/units.ts";
import { pathCharacters } from "../../src/config/scalars.ts";

// A regular expression that backtracks stops every stream of the process while it runs: 16,000 tabs in a backend's
// Content-Length took 0.6 s. The test checks all of src, because it is hard to see which expressions get text of
// clients.

const SRC = new URL("../../src", import.meta.url).pathname;

interface Found {
  readonly where: string;
  readonly source: string;
  readonly flags: string;
}

/** Returns every literal of a file, and the places where `RegExp` compiles a text. */
function expressionsIn(file: string): { readonly literals: Found[]; readonly built: string[] } {
  const text = readFileSync(file, "utf8");
  const name = relative(SRC, file);
  const literals: Found[] = [];
  const built: string[] = [];
  new Visitor({
    Literal(node) {
      if (!("regex" in node)) return;
      const line = text.slice(0, node.start).split("\n").length;
      literals.push({ where: `${name}:${line}`, source: node.regex.pattern, flags: node.regex.flags });
    },
    NewExpression({ callee }) {
      if (callee.type === "Identifier" && callee.name === "RegExp") built.push(name);
    },
    CallExpression({ callee }) {
      if (callee.type === "Identifier" && callee.name === "RegExp") built.push(name);
    },
  }).visit(parseSync(file, text).program);
  return { literals, built };
}

/** Commands with bounded input, in a process that serves no streams; other tests check these bounds. */
const OF_COMMANDS = /^(?:nginx|probe)\/|^cli\/(?:nginx|probe)/;

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.m?[jt]s$/.test(name) && !OF_COMMANDS.test(name))
  .map((name) => expressionsIn(join(SRC, name)));

/** The expressions that are compiled from texts; all of them are constants of the configuration's schemas. */
const BUILT: readonly Found[] = [
  { where: "config/scalars.ts", source: DURATION_PATTERN, flags: "" },
  { where: "config/scalars.ts", source: SIZE_PATTERN, flags: "" },
  { where: "config/rewrite-schema.ts", source: `^/${pathCharacters}$`, flags: "" },
  {
    where: "config/match-schema.ts",
    source: `^/(?:${pathCharacters}|(?:${pathCharacters}/)?\\*)$`,
    flags: "",
  },
  {
    where: "config/interpolate.ts",
    source: "^(?<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?<fallback>.*))?$",
    flags: "s",
  },
];

/** Milliseconds for one expression. Its own limit of 10 s was too short on a busy machine. */
const RECHECK_MS = 60_000;

/** What recheck says of one: undefined where it is linear, whatever the text. */
function faultOf({ source, flags }: Omit<Found, "where">): string | undefined {
  const result = checkSync(source, flags, { randomSeed: 1, timeout: RECHECK_MS });
  if (result.status === "safe") return undefined;
  return result.status === "unknown" ? `unknown: ${result.error.kind}` : result.complexity.summary;
}

test("control: recheck finds polynomial and exponential expressions", () => {
  for (const source of ["\\t[\\t ]*$", "^(?:a+)+$", "[?&]id=[^&]*$", "a.*b.*c", "(?<=.)\\/+$"])
    expect(faultOf({ source, flags: "" }), source).toMatch(/polynomial|exponential/);
  expect(faultOf({ source: "^[\\t ]*$", flags: "" })).toBeUndefined();
});

test("every regular expression takes time in proportion to its text", { timeout: 240_000 }, () => {
  const literals = files.flatMap((file) => file.literals);
  expect(literals.length).toBeGreaterThan(100);
  const slow = [...literals, ...BUILT]
    .map((found) => ({ ...found, fault: faultOf(found) }))
    .filter(({ fault }) => fault !== undefined);
  expect(slow).toEqual([]);
});

test("no expression is compiled from a text, except those in the list of this file", () => {
  const built = files.flatMap((file) => file.built);
  expect(built.toSorted()).toEqual(BUILT.map(({ where }) => where).toSorted());
});
