import { spawnSync } from "node:child_process";

/** Runs the suites that need no other program on each supported Node: `npm run test:nodes`. */
const MAJORS = [22, 24];
const PROJECTS = ["unit", "integration", "security"];

/** npm's package `node` brings the binary, so no machine needs more than one Node installed. */
const onNode = (major, args) =>
  spawnSync("npx", ["--yes", `--package=node@${major}`, "--", "node", ...args], {
    cwd: new URL("..", import.meta.url),
    stdio: ["ignore", "inherit", "inherit"],
  }).status === 0;

const run = (major) => {
  console.log(`\nNode ${major}`);
  const projects = PROJECTS.map((name) => `--project=${name}`);
  return onNode(major, ["--print", "process.version"]) && onNode(major, ["test/run.mjs", ...projects]);
};

const failed = MAJORS.filter((major) => !run(major));
for (const major of failed) console.log(`failed on Node ${major}`);
process.exitCode = failed.length === 0 ? 0 : 1;
