#!/usr/bin/env node
import { keepYoungGenerationSmall } from "../process/internals/young-generation.ts";

keepYoungGenerationSmall();

// `sluice schema | head` closes the pipe early; that is no crash.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

// Behind keepYoungGenerationSmall, as it is the loading of all the rest that makes the space grow first.
const { runCommandLine } = await import("./run.ts");
process.exitCode = await runCommandLine(process.argv.slice(2));
