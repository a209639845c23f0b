import { expect, test } from "vitest";
import lock from "../../package-lock.json" with { type: "json" };
import { missingEntries } from "../lockfile.mjs";

// npm ci refused a lockfile that was written where some platforms' builds could not be had.
test("the lockfile has an entry for every platform's build, or npm ci installs nothing", () => {
  expect(missingEntries(lock.packages).map(({ name }) => name)).toEqual([]);
});

test("control: an entry that is taken out is missed", () => {
  const { "node_modules/@biomejs/cli-linux-x64": _, ...packages } = lock.packages;
  expect(missingEntries(packages).map(({ name }) => name)).toEqual(["@biomejs/cli-linux-x64"]);
});

test("no entry names the registry that it came from", () => {
  expect(JSON.stringify(lock)).not.toContain('"resolved"');
});

/** What the lockfile says of each package; the empty name is sluice itself. */
const packages = Object.entries(
  lock.packages as Readonly<
    Record<
      string,
      {
        readonly dev?: unknown;
        readonly hasInstallScript?: unknown;
        readonly integrity?: unknown;
        readonly engines?: { readonly node?: string } | readonly string[];
      }
    >
  >,
);
const running = packages.filter(([name, { dev }]) => name !== "" && dev !== true);

// A package that runs something when it is installed runs it on the machine of whoever builds.
test("no package that sluice runs with does anything when it is installed", () => {
  expect(running.length).toBeGreaterThan(10);
  expect(running.filter(([, { hasInstallScript }]) => hasInstallScript === true)).toEqual([]);
});

test("every package that sluice runs with is held to its contents", () => {
  expect(running.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
});

/** Whether one of the ranges begins at Node 20.19 or below, and 20 is among those it takes. */
const takesNode20 = (range: string): boolean =>
  range.split("||").some((one) => {
    const [, sign = "", major = "0", minor = "0"] = /(>=|\^)?\s*(\d+)(?:\.(\d+))?/.exec(one) ?? [];
    const isBelow = Number(major) < 20 || (Number(major) === 20 && Number(minor) <= 19);
    return isBelow && (sign === ">=" || Number(major) === 20 || one.trim() === "*");
  });

test("every package takes the oldest Node that sluice takes, or npm ci warns of it", () => {
  const ranges = packages.map(([name, { engines }]) => ({
    name,
    node:
      engines === undefined || Array.isArray(engines) ? "*" : ((engines as { node?: string }).node ?? "*"),
  }));
  expect(ranges.filter(({ node }) => !takesNode20(node))).toEqual([]);
  expect([">=22", "^22.13.0 || >=23.5.0", ">=20.20"].filter(takesNode20)).toEqual([]);
});
