import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { refusedPort } from "../support/backend.ts";
import { attempt } from "../support/command.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;

test("serve exits with 2 and the position if an issuer's keys cannot be fetched; check does not fetch them", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "serve-"));
  afterTest(() => rmSync(cwd, { recursive: true }));
  mkdirSync(join(cwd, "config/routes"), { recursive: true });
  writeFileSync(join(cwd, "config/sluice.yaml"), "listen: 127.0.0.1:0\nadmin: false\n");
  const jwks = `http://127.0.0.1:${await refusedPort()}/jwks.json`;
  writeFileSync(
    join(cwd, "config/routes/feed.yaml"),
    `match: { path: /feed }\nupstream: http://127.0.0.1:1\nauth: { jwt: { issuer: i, audience: a, jwks: "${jwks}" } }\n`,
  );
  const run = (command: string) => attempt(process.execPath, [MAIN, command], { cwd, timeoutMs: 20_000 });
  expect(await run("serve")).toEqual({
    code: 2,
    stdout: "",
    output: "./config/routes/feed.yaml auth.jwt.jwks: cannot get the keys: ECONNREFUSED\n",
  });
  expect((await run("check")).code).toBe(0);
});
