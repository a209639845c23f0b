import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "./command.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

/** A project with the packed tarball installed. */
export interface InstalledPackage {
  /** The project's directory. */
  readonly project: string;
  /** The project's `node_modules/sluice`. */
  readonly directory: string;
  remove(): void;
}

/**
 * Packs the built package and installs it into an empty project, with exactly the packages that `npm install` would
 * install: a package that only the development needs is missing here, as for a user.
 */
export async function installPackage(): Promise<InstalledPackage> {
  const project = mkdtempSync(join(tmpdir(), "sluice-installed-"));
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", project];
  const [{ filename }] = JSON.parse(await run("npm", pack, { cwd: ROOT })) as [{ filename: string }];
  const directory = join(project, "node_modules/sluice");
  mkdirSync(directory, { recursive: true });
  await run("tar", ["-xzf", join(project, filename), "-C", directory, "--strip-components=1"]);
  for (const path of dependencyPaths()) {
    mkdirSync(dirname(join(project, path)), { recursive: true });
    symlinkSync(join(ROOT, path), join(project, path));
  }
  return { project, directory, remove: () => rmSync(project, { recursive: true, force: true }) };
}

/** Returns the lockfile's places of sluice's runtime packages; nested packages come with those at the top. */
function dependencyPaths(): string[] {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  return Object.entries(packages)
    .filter(([path, { dev }]) => dev !== true && /^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path))
    .map(([path]) => path);
}
