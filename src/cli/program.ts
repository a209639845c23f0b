import { keepYoungGenerationSmall } from "../process/internals/young-generation.ts";

keepYoungGenerationSmall();

// `sluice schema | head` closes the pipe early, which is not a crash.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

// Imported after keepYoungGenerationSmall: loading the program would make the young generation grow first.
const { runCommandLine } = await import("./run.ts");
process.exitCode = await runCommandLine(process.argv.slice(2));
