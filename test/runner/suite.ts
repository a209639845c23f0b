import { defineConfig } from "vitest/config";
import { LongestFirst } from "./longest-first.ts";

/**
 * Milliseconds that a test may take: many times the longest test on an idle machine, because a busy machine is that
 * slow.
 */
const TIMEOUTS = { unit: 120_000, integration: 60_000, security: 60_000, e2e: 120_000 } as const;

export type Project = keyof typeof TIMEOUTS;

/** A suite of these projects, with the files that `filesOf` gives for each. */
export function suiteOf(projects: readonly Project[], filesOf: (project: Project) => string[]) {
  return defineConfig({
    test: {
      root: new URL("../..", import.meta.url).pathname,
      // Most files wait more than they compute, so three keep two cores busy. With more, tests of the order of arrivals
      // would get too little CPU: they would still pass, but wait longer.
      maxWorkers: 3,
      sequence: { sequencer: LongestFirst },
      projects: projects.map((name) => ({
        test: {
          name,
          include: filesOf(name),
          setupFiles: [new URL("real-timers.ts", import.meta.url).pathname],
          testTimeout: TIMEOUTS[name],
          hookTimeout: 60_000,
          // Files in one worker share its modules: loading them again for each file took a third of the CPU of a run. A
          // test that changes the state of a module loads its own copy with vi.resetModules.
          isolate: false,
        },
      })),
    },
  });
}
