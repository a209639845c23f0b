import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { afterTest } from "../../support/after-test.ts";

/**
 * Loads an apps.yaml and a route with this `auth`; returns the apps or the problems. `DIR` stands for the directory.
 */
function load(apps: string, auth = "app: [web]", secretFile = "") {
  const root = mkdtempSync(join(tmpdir(), "apps-"));
  afterTest(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "routes"));
  writeFileSync(join(root, "secret"), secretFile);
  writeFileSync(join(root, "apps.yaml"), apps.replaceAll("DIR", root));
  const route = `match: { path: / }\nupstream: http://127.0.0.1:1\nauth:\n  ${auth}\n`;
  writeFileSync(join(root, "routes/main.yaml"), route);
  const loaded = loadConfig(root, { EMPTY: "" });
  return "problems" in loaded
    ? loaded.problems.map((problem) => formatProblem(problem).replaceAll(`${root}/`, ""))
    : loaded.config.apps;
}

test("an app has one secret, two, or one in a file without its last line end", () => {
  expect(load("web: { key: k, secret: s }")).toEqual([
    { name: "web", key: "k", secret: ["s"], appCodes: [] },
  ]);
  expect(load("web: { key: k, secret: [new, old] }")).toMatchObject([{ secret: ["new", "old"] }]);
  const file = 'web: { key: k, secret: "file:DIR/secret" }';
  expect(load(file, undefined, " s e \n")).toMatchObject([{ secret: [" s e "] }]);
  expect(load(file, undefined, "s\r\n")).toMatchObject([{ secret: ["s"] }]);
});

test("10,000 apps, each with two secrets and an AppCode, are loaded", () => {
  const code = "c".repeat(64);
  const app = (_: unknown, i: number) =>
    `app-${i}:\n  key: key-${i}\n  secret: [new-${i}, old-${i}]\n  appCodes: ["${code}${i}"]\n`;
  const loaded = load(Array.from({ length: 10_000 }, app).join(""), "appCode: true");
  expect(loaded).toHaveLength(10_000);
  expect(loaded.at(-1)).toMatchObject({ name: "app-9999", appCodes: [`${code}9999`] });
});

test.each([
  [
    "an empty secret",
    'web: { key: k, secret: "" }',
    "apps.yaml:1:24 web.secret: expected a secret that is not empty",
  ],
  [
    "a secret that is an empty variable",
    `web: { key: k, secret: "\${EMPTY}" }`,
    "apps.yaml:1:24 web.secret: expected a secret that is not empty; the environment variable EMPTY is empty",
  ],
  [
    "no secret",
    "web: { key: k }",
    "apps.yaml:1:1 web.secret: missing; expected a secret, or a list of the new and the old one",
  ],
  [
    "an empty file",
    'web: { key: k, secret: "file:DIR/secret" }',
    "apps.yaml:1:24 web.secret: secret: expected a secret that is not empty",
  ],
  [
    "a file that is not there",
    'web: { key: k, secret: "file:DIR/no" }',
    "apps.yaml:1:24 web.secret: no: does not exist",
  ],
  [
    "a key with a comma",
    'web: { key: "a,b", secret: s }',
    "apps.yaml:1:13 web.key: expected 1 to 128 visible characters without comma and space",
  ],
  [
    "a key that another app has",
    "web: { key: k, secret: s }\napp: { key: k, secret: t }",
    "apps.yaml:2:13 app.key: the same key as web",
  ],
  [
    "an unknown key",
    "web: { key: k, secret: s, secrt: t }",
    "apps.yaml:1:27 web.secrt: unknown key; did you mean secret?",
  ],
])("%s is refused at its place", (_, apps, problem) => {
  expect(load(apps)).toEqual([problem]);
});

test.each([
  ["app: [wbe]", "routes/main.yaml:4:9 auth.app[0]: unknown app wbe; did you mean web?"],
  [
    "app: { apps: [web, other] }",
    "routes/main.yaml:4:22 auth.app.apps[1]: unknown app other; apps.yaml has no such app",
  ],
  ["app: []", "routes/main.yaml:4:8 auth.app: expected at least one app"],
])("an unknown app in a route is refused with its place: %s", (auth, problem) => {
  expect(load("web: { key: k, secret: s }", auth)).toEqual([problem]);
});
