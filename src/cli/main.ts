#!/usr/bin/env node
// An old Node must get through this file, so it has no import and no syntax newer than a dynamic import: otherwise a
// user would see a SyntaxError of some other file.
const { node } = process.versions;
const [major = 0, minor = 0] = node.split(".").map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`sluice needs Node 20.19 or newer; this is Node ${node}.\n`);
  process.exitCode = 2;
} else {
  void import("./program.ts");
}
