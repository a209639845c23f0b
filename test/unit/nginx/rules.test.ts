import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DiskFiles } from "../../../src/nginx/files.ts";
import { isAsBadAs } from "../../../src/nginx/lint/finding.ts";
import { fixSource } from "../../../src/nginx/lint/fix.ts";
import { PatchedFiles } from "../../../src/nginx/lint/patch.ts";
import { lint } from "../../../src/nginx/lint/result.ts";
import { RULES } from "../../../src/nginx/lint/rules.ts";
import { readConfiguration } from "../../../src/nginx/reader.ts";
import { FIXTURES, type Fixture, fixtureOf } from "./fixtures.ts";

/**
 * `# expect: SEVERITY` at the end of a line marks the only finding that the configuration may have, including
 * findings on locations that only possibly carry streams.
 */

const findingsOf = ({ path, options }: Fixture) =>
  lint(readConfiguration(path, new DiskFiles()), options).findings.map(
    ({ rule, severity, at }) => `${at.file.place(at.start).line} ${severity} ${rule}`,
  );

const expected = (rule: string, text: string): string[] =>
  text.split("\n").flatMap((line, at) => {
    const severity = /# expect: (\w+)$/.exec(line)?.[1];
    return severity === undefined ? [] : [`${at + 1} ${severity} ${rule}`];
  });

test("every rule has its pair of configurations, and no pair is without a rule", () => {
  expect(readdirSync(FIXTURES).toSorted()).toEqual(RULES.map(({ id }) => id).toSorted());
});

describe.each(RULES.map(({ id }) => id))("%s", (rule) => {
  test("reports the problem at its place, and nothing else", async () => {
    const fixture = await fixtureOf(rule, "bad");
    expect(expected(rule, fixture.text)).toHaveLength(1);
    expect(findingsOf(fixture)).toEqual(expected(rule, fixture.text));
  });

  test("reports nothing in the good configuration", async () => {
    expect(findingsOf(await fixtureOf(rule, "good"))).toEqual([]);
  });

  test("reports nothing after its fix, which causes no other warning", async () => {
    const { path, options } = await fixtureOf(rule, "bad");
    const source = { paths: [path], files: new DiskFiles(), root: undefined };
    const [before] = lint(readConfiguration(path, source.files), options).findings;
    const { files, refused } = fixSource(source, options, { mayWrite: () => true, fixesPossible: true });
    expect(refused).toEqual([]);
    expect(files.length > 0).toBe(before?.fix !== undefined);
    if (before === undefined || files.length === 0) return;
    const patches = new Map(files.map((file) => [file.path, file.after]));
    const after = lint(readConfiguration(path, new PatchedFiles(source.files, patches)), options).findings;
    expect(after.filter(({ fix }) => fix !== undefined)).toEqual([]);
    expect(after.filter(({ severity }) => isAsBadAs(severity, "warning"))).toEqual([]);
  });
});

test("these rules have no automatic fix", async () => {
  const left = await Promise.all(
    RULES.map(async ({ id }) => {
      const { path, options } = await fixtureOf(id, "bad");
      const { findings } = lint(readConfiguration(path, new DiskFiles()), options);
      return findings.some(({ fix }) => fix !== undefined) ? [] : [id];
    }),
  );
  expect(left.flat()).toMatchInlineSnapshot(`
    [
      "syntax",
      "include-not-found",
      "not-allowed-here",
      "unknown-directive",
      "needs-newer-nginx",
      "buffer-sizes",
      "sub-filter-holds",
      "stream-rewritten",
      "rate-limit-void",
      "limit-req-delays",
      "limit-conn-counts-streams",
      "request-buffered",
      "stream-mirrored",
      "websocket-idle-cut",
      "timeout-void",
      "tcp-timeout-cuts-silence",
      "reload-cuts",
      "get-sent-twice",
      "connections-few",
      "fields-lost-in-if",
      "fields-lost",
      "cors-star-with-credentials",
      "preflight-needs-credentials",
      "host-port-lost",
      "underscored-field",
      "client-address-lost",
      "real-ip-from-anyone",
      "proxy-protocol-mismatch",
      "query-lost",
      "decoded-path-in-proxy-pass",
      "no-resolver",
      "slash-redirect",
      "static-regex-first",
      "nested-location-without-pass",
      "spa-answers",
    ]
  `);
});
