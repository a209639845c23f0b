import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Builds dist: `npm run build`. The compiler writes the modules; this script adds the files that they read (pages,
 * data), the libraries that the pages load in a browser, and removes what an earlier build left.
 */
const ROOT = new URL("..", import.meta.url).pathname;
const SOURCE = join(ROOT, "src");
const DIST = join(ROOT, "dist");
/** Files of src that only the build reads. */
const OWN = new Set(["tsconfig.json", "build.mjs"]);
const LIBRARIES = "browser-libraries";
const LICENSES = ["LICENSE", "LICENSE.md"];

function compile() {
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", join(SOURCE, "tsconfig.json")], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

const filesBelow = (directory) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));

/** The files of dist that a file of src stands for. */
const outputsOf = (file) =>
  file.endsWith(".ts")
    ? [".js", ".js.map", ".d.ts", ".d.ts.map"].map((end) => file.slice(0, -3) + end)
    : [file];

/** The folder of an installed package, which need not export its package.json. */
function packageDirectory(name) {
  const directory = join(ROOT, "node_modules", name);
  if (!existsSync(directory)) throw new Error(`${name} is not installed: npm ci`);
  return directory;
}

/** Copies the libraries of our pages beside their licences; returns the names of the files. */
function copyLibraries(libraries) {
  const copied = [];
  const copy = (from, name) => {
    const to = join(LIBRARIES, name);
    mkdirSync(dirname(join(DIST, to)), { recursive: true });
    copyFileSync(from, join(DIST, to));
    copied.push(to);
  };
  for (const [name, { package: owner, file }] of Object.entries(libraries)) {
    copy(join(packageDirectory(owner), file), name);
  }
  for (const owner of new Set(Object.values(libraries).map((library) => library.package))) {
    const directory = packageDirectory(owner);
    const licenses = LICENSES.filter((name) => existsSync(join(directory, name)));
    if (licenses.length === 0) throw new Error(`${owner} has no licence file, so it cannot be copied`);
    for (const name of licenses) copy(join(directory, name), `${owner}.${name}`);
    const { version, license } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    if (!/^MIT\b/.test(license)) throw new Error(`${owner} ${version} has the licence ${license}, not MIT`);
  }
  return copied;
}

compile();
const sources = filesBelow(SOURCE).filter((file) => !OWN.has(file));
const assets = sources.filter((file) => !file.endsWith(".ts"));
for (const file of assets) cpSync(join(SOURCE, file), join(DIST, file));
const { BROWSER_LIBRARIES } = await import(join(DIST, "base/browser-libraries.js"));
const libraries = copyLibraries(BROWSER_LIBRARIES);
const built = new Set([...sources.flatMap(outputsOf), ...libraries]);
for (const file of filesBelow(DIST)) if (!built.has(file)) rmSync(join(DIST, file));
