import { expect, test } from "vitest";
import lock from "../../package-lock.json" with { type: "json" };
import field from "../field/package.json" with { type: "json" };
import fieldLock from "../field/package-lock.json" with { type: "json" };
import { missingEntries } from "../lockfile.mjs";

// npm ci once refused a lockfile: it was written on a machine that could not download the builds for some platforms.
test.each([
  ["sluice", lock],
  ["test/field", fieldLock],
])(
  "the lockfile of %s has an entry for every platform's build; without one, npm ci installs nothing",
  (_, one) => {
    expect(missingEntries(one.packages).map(({ name }) => name)).toEqual([]);
  },
);

test("control: a removed entry is reported", () => {
  const { "node_modules/@biomejs/cli-linux-x64": _, ...packages } = lock.packages;
  expect(missingEntries(packages).map(({ name }) => name)).toEqual(["@biomejs/cli-linux-x64"]);
});

test("no entry names the registry that it came from", () => {
  expect(JSON.stringify([lock, fieldLock])).not.toContain('"resolved"');
});

test("the packages of the field test have exact versions, which its table shows", () => {
  expect(Object.values(field.dependencies).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

/** The lockfile's entry for each package; the empty name is sluice itself. */
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

// An install script of a package would run on every machine that installs sluice.
test("no runtime package has an install script", () => {
  expect(running.length).toBeGreaterThan(10);
  expect(running.filter(([, { hasInstallScript }]) => hasInstallScript === true)).toEqual([]);
});

test("every runtime package has an integrity hash", () => {
  expect(running.filter(([, { integrity }]) => integrity === undefined)).toEqual([]);
});

/** Whether one of the alternatives accepts Node 20.19. */
const takesNode20 = (range: string): boolean =>
  range.split("||").some((one) => {
    const [, sign = "", major = "0", minor = "0"] = /(>=|\^)?\s*(\d+)(?:\.(\d+))?/.exec(one) ?? [];
    const isBelow = Number(major) < 20 || (Number(major) === 20 && Number(minor) <= 19);
    return isBelow && (sign === ">=" || Number(major) === 20 || one.trim() === "*");
  });

test("every package accepts the oldest Node that sluice accepts; otherwise npm ci prints a warning", () => {
  const ranges = packages.map(([name, { engines }]) => ({
    name,
    node:
      engines === undefined || Array.isArray(engines) ? "*" : ((engines as { node?: string }).node ?? "*"),
  }));
  expect(ranges.filter(({ node }) => !takesNode20(node))).toEqual([]);
  expect([">=22", "^22.13.0 || >=23.5.0", ">=20.20"].filter(takesNode20)).toEqual([]);
});
