import { readFileSync, writeFileSync } from "node:fs";

/**
 * Writes the repository's address into package.json: `node .github/name-repository.mjs https://host/owner/name`. The
 * workflow that publishes runs it, so that the package names the repository it was built in, also for a fork.
 */
const [address = ""] = process.argv.slice(2);
if (!/^https:\/\/[^\s/]+(?:\/[\w.-]+)+$/.test(address)) {
  console.error(`expected the address of a repository such as https://host/owner/name, not ${address}`);
  process.exit(2);
}
const file = new URL("../package.json", import.meta.url);
const manifest = JSON.parse(readFileSync(file, "utf8"));
const fields = {
  repository: { type: "git", url: `git+${address}.git` },
  homepage: `${address}#readme`,
  bugs: `${address}/issues`,
};
writeFileSync(file, `${JSON.stringify({ ...manifest, ...fields }, undefined, 2)}\n`);
