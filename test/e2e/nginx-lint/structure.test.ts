import { describe, expect, test } from "vitest";
import { DiskFiles } from "../../../src/nginx/files.ts";
import { fixSource } from "../../../src/nginx/lint/fix.ts";
import { RULES } from "../../../src/nginx/lint/rules.ts";
import { BUILDS, fixtureText, type NginxBuild, testConfiguration } from "../../support/nginx-lab.ts";
import { fixtureOf } from "../../unit/nginx/fixtures.ts";

/** The rules whose configurations need a newer nginx than the system's. */
const NEWER: ReadonlySet<string> = new Set(["needs-newer-nginx", "listen-http2-deprecated", "h2-needs-tls"]);
/** nginx's messages for configurations that lint reports as not starting. */
const REFUSED: Readonly<Record<string, string>> = {
  "not-allowed-here": '"proxy_buffering" directive is not allowed here',
  "unknown-directive": 'unknown directive "proxy_bufering"',
  syntax: 'unexpected "b"',
  "include-not-found": "missing.conf",
  "buffer-sizes":
    '"proxy_busy_buffers_size" must be less than the size of all "proxy_buffers" minus one buffer',
};

describe.each(BUILDS)("nginx $version", (build) => {
  test.each(Object.entries(REFUSED))(
    "does not start with the bad configuration of %s, but with the good one",
    (rule, words) => {
      const bad = testConfiguration(fixtureText(rule, "bad"), build);
      expect(bad).toMatchObject({ isTaken: false, said: expect.stringContaining(words) });
      expect(testConfiguration(fixtureText(rule, "good"), build)).toMatchObject({ isTaken: true });
    },
  );

  // Not every package has the `stream` module.
  const others = RULES.map(({ id }) => id).filter(
    (rule) => !(rule in REFUSED) && rule !== "tcp-timeout-cuts-silence" && !NEWER.has(rule),
  );
  test.each(others)("starts with both configurations of %s", (rule) => {
    for (const name of ["bad", "good"] as const) {
      expect(testConfiguration(fixtureText(rule, name), build)).toMatchObject({ isTaken: true });
    }
  });
});

describe("nginx accepts the configurations that lint has fixed", () => {
  const fixable = RULES.map(({ id }) => id).filter((rule) => !NEWER.has(rule));
  test.each(fixable)("%s", async (rule) => {
    const { path, options } = await fixtureOf(rule, "bad");
    const source = { paths: [path], files: new DiskFiles(), root: undefined };
    const { files } = fixSource(source, options, { mayWrite: () => true, fixesPossible: true });
    const [build] = BUILDS;
    for (const { after } of build === undefined ? [] : files) {
      expect(testConfiguration(after.toString("utf8"), build as NginxBuild)).toMatchObject({ isTaken: true });
    }
  });
});

test("needs-newer-nginx: the system's nginx does not know the directive that lint reports", () => {
  const [oldest] = BUILDS;
  if (oldest === undefined) throw new Error("no nginx");
  const { isTaken, said } = testConfiguration(fixtureText("needs-newer-nginx", "bad"), oldest);
  expect({ isTaken, said }).toEqual({
    isTaken: false,
    said: expect.stringContaining('unknown directive "http2"'),
  });
});

for (const build of BUILDS.filter(({ version }) => version !== "1.22")) {
  test(`listen-http2-deprecated: nginx ${build.version} itself reports it`, () => {
    const { said } = testConfiguration(fixtureText("listen-http2-deprecated", "bad"), build);
    expect(said).toContain('the "listen ... http2" directive is deprecated');
    expect(testConfiguration(fixtureText("listen-http2-deprecated", "good"), build).said).toBe("");
  });
}

for (const build of BUILDS.filter(({ version }) => version === "1.30")) {
  test("h2-needs-tls: nginx 1.30 starts with both configurations", () => {
    for (const name of ["bad", "good"] as const) {
      expect(testConfiguration(fixtureText("h2-needs-tls", name), build)).toMatchObject({ isTaken: true });
    }
  });
}
