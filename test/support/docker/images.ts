import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../command.ts";
import { ownMirror } from "./packages.ts";

const STANDINS = fileURLToPath(new URL("standin/", import.meta.url));
const NODE_MAJOR = 24;
const NPM_MAJOR = 11;
const CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";

/** Names that differ from the official ones, so that a list of images shows their origin. */
const BASE_IMAGE = "sluice-standin/debian:bookworm";
const NODE_IMAGE = `sluice-standin/node:${NODE_MAJOR}`;
const NGINX_IMAGE = "sluice-standin/nginx:debian";

/** The base images of the project, as values of its build arguments and Compose variables. */
export interface BaseImages {
  readonly NODE_IMAGE: string;
  readonly NGINX_IMAGE: string;
}

/** Creates a root file system from this machine's Debian, with its CA bundle: the network may re-sign TLS. */
async function baseArchive(cache: string): Promise<string> {
  const archive = join(cache, "debian.tar");
  if (existsSync(archive)) return archive;
  const draft = join(cache, "debian.draft.tar");
  await rm(draft, { force: true });
  const unneeded = ["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*"];
  await run("mmdebstrap", [
    "--quiet",
    "--variant=minbase",
    "--include=ca-certificates",
    ...unneeded.map((path) => `--dpkgopt=path-exclude=${path}`),
    '--aptopt=APT::Install-Recommends "false"',
    `--customize-hook=copy-in ${CA_BUNDLE} ${CA_BUNDLE.slice(0, CA_BUNDLE.lastIndexOf("/"))}`,
    "bookworm",
    draft,
    await ownMirror(),
  ]);
  await rename(draft, archive);
  return archive;
}

async function unpackPackage(spec: string, directory: string): Promise<string> {
  const target = await mkdtemp(join(directory, "npm-"));
  await run("npm", ["pack", "--silent", "--pack-destination", target, spec], { cwd: target });
  const [archive = ""] = await readdir(target);
  await run("tar", ["-xzf", join(target, archive), "-C", target]);
  return join(target, "package");
}

/** Creates the build context of the substitute for node: the binary and npm, both from npm packages. */
async function nodeContext(cache: string): Promise<string> {
  const context = join(cache, `node-${NODE_MAJOR}`);
  if (existsSync(context)) return context;
  const draft = await mkdtemp(join(cache, "node.draft-"));
  const work = await mkdtemp(join(tmpdir(), "sluice-npm-"));
  try {
    const arch = process.arch;
    const node = await unpackPackage(`node-linux-${arch}@${NODE_MAJOR}`, work);
    await cp(join(node, "bin/node"), join(draft, "node"));
    await cp(await unpackPackage(`npm@${NPM_MAJOR}`, work), join(draft, "npm"), { recursive: true });
    await rename(draft, context);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(draft, { recursive: true, force: true });
  }
  return context;
}

/** Builds the substitutes for the official base images; does not fetch files that are in `cache`. */
export async function buildStandIns(
  cache: string,
  docker: (args: readonly string[]) => Promise<string>,
): Promise<BaseImages> {
  await mkdir(cache, { recursive: true });
  const [archive, context] = await Promise.all([baseArchive(cache), nodeContext(cache)]);
  const trust = `ENV NODE_EXTRA_CA_CERTS=${CA_BUNDLE}`;
  await docker(["import", "--change", 'CMD ["bash"]', "--change", trust, archive, BASE_IMAGE]);
  const build = (name: string, tag: string, directory: string) =>
    docker([
      "build",
      "--quiet",
      "--build-arg",
      `BASE=${BASE_IMAGE}`,
      "--file",
      join(STANDINS, `${name}.Dockerfile`),
      "--tag",
      tag,
      directory,
    ]);
  await Promise.all([build("node", NODE_IMAGE, context), build("nginx", NGINX_IMAGE, STANDINS)]);
  return { NODE_IMAGE, NGINX_IMAGE };
}
