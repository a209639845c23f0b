import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Runs the tests: `npm test`, or `npm test -- test/unit` for some of them.
 *
 * As root on Debian it installs the programs that the tests run and that are missing. With CI=true nothing
 * may be left out: a missing program or a skipped test is a failure. The last line says how it went.
 */
const isCi = process.env.CI === "true";
const root = new URL("..", import.meta.url).pathname;

/** Program, Debian package, what needs it, and what a machine without apt can set instead. */
const PROGRAMS = [
  { path: "/usr/sbin/nginx", name: "nginx-light", use: "nginx end to end", variable: "NGINX_PATH" },
  { path: "/usr/bin/chromium", name: "chromium", use: "browser tests", variable: "CHROMIUM_PATH" },
  { path: "/usr/bin/redis-server", name: "redis-server", use: "shared histories", variable: "REDIS_PATH" },
  { path: "/usr/sbin/haproxy", name: "haproxy", use: "PROXY protocol end to end", variable: "HAPROXY_PATH" },
  { path: "/usr/bin/caddy", name: "caddy", use: "probes end to end", variable: "CADDY_PATH" },
  { path: "/usr/bin/curl", name: "curl", use: "curl end to end", variable: undefined },
  {
    path: "/usr/bin/systemd-analyze",
    name: "systemd",
    use: "the sample of a systemd unit",
    variable: undefined,
  },
];

const isThere = ({ path, variable }) => existsSync(process.env[variable] ?? path);

const apt = (...args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "inherit", "inherit"],
    // Runlevel 1: a package that brings a service must not start it.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" },
  }).status === 0;

/** Installs what is missing where that is possible, and returns what is missing still. */
function providePrograms() {
  const missing = PROGRAMS.filter((program) => !isThere(program));
  if (missing.length === 0) return [];
  const names = missing.map(({ name }) => name);
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return missing;
  console.log(`installing ${names.join(" ")} with apt`);
  apt("update", "-qq");
  apt("install", "-y", "-qq", "--no-install-recommends", ...names);
  return missing.filter((program) => !isThere(program));
}

/** Without the program its tests fail and say so; here is the same in one line, before a long run. */
function reportMissing(missing) {
  for (const { name, use, variable } of missing) {
    const instead = variable === undefined ? "" : `, or set ${variable}`;
    console.log(`missing: ${name}, for ${use}: install it${instead}`);
  }
}

/** Runs vitest in one process, and returns its counts; undefined when it came to no result. */
function runVitest(args) {
  const directory = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const outputFile = join(directory, "result.json");
  try {
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const { status } = spawnSync(
      process.execPath,
      [
        vitest,
        "run",
        "--config=test/vitest.config.ts",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${outputFile}`,
        ...args,
      ],
      { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
    );
    if (!existsSync(outputFile)) return undefined;
    return { ...JSON.parse(readFileSync(outputFile, "utf8")), status };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Suites that failed without a failed test: a file that does not load, a hook that throws. */
const brokenFiles = ({ testResults }) =>
  testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && assertionResults.every((result) => result.status !== "failed"),
  );

const skippedTests = ({ testResults }) =>
  testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status !== "passed" && status !== "failed"),
  );

function main() {
  const missing = providePrograms();
  reportMissing(missing);
  const result = runVitest(process.argv.slice(2));
  if (result === undefined) {
    console.log("0 passed, 1 failed");
    return 1;
  }
  const broken = brokenFiles(result);
  const skipped = skippedTests(result);
  for (const { name, message } of broken) console.log(`did not run: ${name}\n${message}`);
  for (const { fullName } of skipped) console.log(`skipped: ${fullName}`);

  const passed = result.numPassedTests;
  let failed = result.numFailedTests + broken.length;
  // An error outside any test, such as an unhandled rejection, fails the run all the same.
  if (result.status !== 0 && failed === 0) failed = 1;
  const isOk = failed === 0 && passed > 0 && !(isCi && (skipped.length > 0 || missing.length > 0));
  if (!isOk && failed === 0) console.log("failed: with CI=true nothing may be skipped or missing");
  const tail = skipped.length === 0 ? "" : `, ${skipped.length} skipped`;
  console.log(`${passed} passed, ${failed} failed${tail}`);
  return isOk ? 0 : 1;
}

process.exitCode = main();
