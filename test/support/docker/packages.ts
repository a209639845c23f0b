import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { attempt, run } from "../command.ts";

/** The packages to install on the machine, with the engine's dependencies. */
const FROM_OWN_RELEASE = ["docker.io", "iptables", "mmdebstrap"];
/** The packages to unpack into a directory without installing: only Debian 13 has Compose v2 and BuildKit. */
const FROM_NEXT_RELEASE = ["docker.io", "docker-cli", "docker-compose", "docker-buildx", "tini"];
const NEXT_RELEASE = "trixie";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** The programs of an engine: a directory to put in front of PATH, and a client configuration with plugins. */
export interface EnginePrograms {
  readonly path: string;
  readonly clientConfig: string;
}

const isInstalled = async (name: string): Promise<boolean> =>
  (await attempt("dpkg-query", ["--status", name])).output.includes("Status: install ok installed");

async function installOwn(): Promise<void> {
  const missing: string[] = [];
  for (const name of FROM_OWN_RELEASE) if (!(await isInstalled(name))) missing.push(name);
  if (missing.length === 0) return;
  console.log(`installing ${missing.join(" ")} with apt`);
  // Runlevel 1 keeps the package from starting a second engine.
  const env = { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  await run("apt-get", ["update", "-qq"], { env });
  await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing], { env });
}

/** Returns this machine's Debian mirror from its apt sources, in the old or the new format. */
export async function ownMirror(): Promise<string> {
  const files = ["/etc/apt/sources.list"];
  const parts = "/etc/apt/sources.list.d";
  if (existsSync(parts)) for (const name of await readdir(parts)) files.push(join(parts, name));
  for (const file of files.filter((name) => existsSync(name))) {
    for (const line of (await readFile(file, "utf8")).split("\n")) {
      const mirror = /^(?:deb |URIs:).*?(https?:\/\/\S+\/debian)\/?(?:\s|$)/.exec(line)?.[1];
      if (mirror !== undefined) return mirror;
    }
  }
  throw new Error("found no Debian mirror in the apt sources of this machine");
}

/** Downloads with a separate apt state, so that no package of the next release gets installed. */
async function downloadNext(directory: string): Promise<void> {
  const apt = join(directory, "apt");
  const target = join(directory, "debs");
  await rm(apt, { recursive: true, force: true });
  await mkdir(join(apt, "state/lists/partial"), { recursive: true });
  await mkdir(join(apt, "cache/archives/partial"), { recursive: true });
  await mkdir(target, { recursive: true });
  const sources = join(apt, "sources.list");
  await writeFile(sources, `deb [signed-by=${KEYRING}] ${await ownMirror()} ${NEXT_RELEASE} main\n`);
  const options = [
    `Dir::Etc::sourcelist=${sources}`,
    "Dir::Etc::sourceparts=-",
    `Dir::State=${join(apt, "state")}`,
    `Dir::Cache=${join(apt, "cache")}`,
    "Dir::State::status=/var/lib/dpkg/status",
    "APT::Sandbox::User=root",
    "Acquire::Languages=none",
  ].flatMap((option) => ["-o", option]);
  await run("apt-get", [...options, "update", "-qq"]);
  const names = FROM_NEXT_RELEASE.map((name) => `${name}/${NEXT_RELEASE}`);
  await run("apt-get", [...options, "download", "-qq", ...names], { cwd: target });
  await rm(apt, { recursive: true, force: true });
}

/** Puts an engine with Compose v2 into `cache`, from Debian packages only; reuses files that exist. */
export async function fetchPrograms(cache: string): Promise<EnginePrograms> {
  await installOwn();
  const root = join(cache, "programs");
  if (!existsSync(root)) {
    // Created in another place and then moved: an interrupted run leaves no incomplete directory.
    const draft = `${root}.draft`;
    await rm(draft, { recursive: true, force: true });
    await downloadNext(draft);
    for (const deb of await readdir(join(draft, "debs"))) {
      await run("dpkg-deb", ["-x", join(draft, "debs", deb), join(draft, "tree")]);
    }
    await rm(join(draft, "debs"), { recursive: true });
    const plugins = join(draft, "client/cli-plugins");
    await mkdir(plugins, { recursive: true });
    for (const name of ["docker-compose", "docker-buildx"]) {
      await symlink(join("../../tree/usr/libexec/docker/cli-plugins", name), join(plugins, name));
    }
    await rename(draft, root);
  }
  const directories = ["usr/sbin", "usr/bin"].map((name) => join(root, "tree", name));
  return { path: directories.join(":"), clientConfig: join(root, "client") };
}
