import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import { afterTest } from "../../support/after-test.ts";

function load(server: string) {
  const root = mkdtempSync(join(tmpdir(), "sluice-admin-"));
  afterTest(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "routes"));
  writeFileSync(join(root, "routes/r.yaml"), "match: { path: /x }\nupstream: http://127.0.0.1:1\n");
  writeFileSync(join(root, "sluice.yaml"), server);
  const loaded = loadConfig(root, {});
  if ("config" in loaded) return loaded.config.server.admin;
  return loaded.problems.map((problem) => formatProblem(problem).replaceAll(root, "config"));
}

const NEEDS_TOKEN = "other machines can reach this address: set adminToken in sluice.yaml, or use 127.0.0.1";

test("the admin listener is on the loopback by default, also for a port alone", () => {
  expect(load("")).toEqual({ host: "127.0.0.1", port: 9900 });
  expect(load("admin: 7000")).toEqual({ host: "127.0.0.1", port: 7000 });
  expect(load("admin: localhost:0")).toEqual({ host: "localhost", port: 0 });
  expect(load('admin: "[::1]:7000"')).toEqual({ host: "::1", port: 7000 });
  expect(load("admin: unix:/run/admin.sock")).toEqual({ path: "/run/admin.sock" });
  expect(load("admin: false")).toBeUndefined();
  expect(load("admin: ${ADMIN:-false}")).toBeUndefined();
});

test("an address that other machines can reach without a token is refused with its place", () => {
  for (const address of ["0.0.0.0:9900", "10.0.0.1:9900", '"[::]:9900"', "example.com:9900", "128.0.0.1:1"]) {
    expect(load(`# the server\nadmin: ${address}\n`)).toEqual([
      `config/sluice.yaml:2:8 admin: ${NEEDS_TOKEN}`,
    ]);
  }
  expect(load("admin: 0.0.0.0:9900\nadminToken: a-token-of-twenty-ch\n")).toEqual({
    host: "0.0.0.0",
    port: 9900,
  });
});

test("an invalid address and an empty token are refused", () => {
  expect(load("admin: true")).toEqual([
    "config/sluice.yaml:1:8 admin: expected a port, host:port such as 127.0.0.1:8000, or unix:/path, or false",
  ]);
  expect(load('adminToken: ""')).toEqual([
    "config/sluice.yaml:1:13 adminToken: expected a secret that is not empty",
  ]);
});
