import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Completes package-lock.json and that of test/field: `npm run lock`, after a change of dependencies.
 *
 * npm leaves out the builds for other platforms that the registry at hand does not have, and then refuses
 * to install from such a lockfile at all ("Missing: … from lock file"). The versions are exact in the
 * packages that ask for them; only the digest is missing, and npm takes that from the registry.
 */
const FILES = ["../package-lock.json", "field/package-lock.json"].map(
  (name) => new URL(name, import.meta.url),
);
const SYSTEMS = "android darwin linux win32 freebsd openharmony netbsd openbsd sunos aix".split(" ");
const PROCESSORS = "arm64 x64 ia32 riscv64 s390x ppc64 loong64 mips64el arm wasm32".split(" ");

/** The optional packages that an entry asks for and that have no entry of their own. */
export function missingEntries(packages) {
  return Object.entries(packages).flatMap(([parent, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => packages[`node_modules/${name}`] === undefined)
      .filter(([name]) => packages[`${parent}/node_modules/${name}`] === undefined)
      .map(([name, version]) => ({ name, version, entry })),
  );
}

function entryFor({ name, version, entry }) {
  const platform = name.split("/").pop() ?? "";
  const os = SYSTEMS.find((system) => platform.includes(system));
  const cpu = PROCESSORS.find((processor) => platform.includes(processor));
  const libc = platform.includes("musl") ? "musl" : platform.includes("gnu") ? "glibc" : undefined;
  return {
    version: version.replace(/^[~^]/, ""),
    ...(cpu && { cpu: [cpu] }),
    ...(entry.dev && { dev: true }),
    ...(os === "linux" && libc && { libc: [libc] }),
    license: entry.license,
    optional: true,
    ...(os && { os: [os] }),
    ...(entry.engines && { engines: entry.engines }),
  };
}

function complete(file) {
  const lock = JSON.parse(readFileSync(file, "utf8"));
  const missing = missingEntries(lock.packages);
  for (const item of missing) lock.packages[`node_modules/${item.name}`] = entryFor(item);
  lock.packages = Object.fromEntries(
    Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")),
  );
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(
    missing.length === 0 ? "nothing is missing" : missing.map(({ name }) => `added ${name}`).join("\n"),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) FILES.forEach(complete);
