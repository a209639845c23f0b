import { defineConfig } from "vitest/config";
import { LongestFirst } from "./longest-first.ts";

/** Milliseconds that a test may take: many times what the longest takes, as a machine that is short of time does. */
const TIMEOUTS = { unit: 120_000, integration: 60_000, security: 60_000, e2e: 120_000 } as const;

export type Project = keyof typeof TIMEOUTS;

/** A suite of these projects, with the files that `filesOf` gives for each. */
export function suiteOf(projects: readonly Project[], filesOf: (project: Project) => string[]) {
  return defineConfig({
    test: {
      root: new URL("../..", import.meta.url).pathname,
      // Most files wait more than they compute, so three keep two cores busy. More would leave tests that measure the
      // order of arrival short of time: they hold then too, and wait longer for it.
      maxWorkers: 3,
      sequence: { sequencer: LongestFirst },
      projects: projects.map((name) => ({
        test: {
          name,
          include: filesOf(name),
          testTimeout: TIMEOUTS[name],
          hookTimeout: 60_000,
          // Files that follow each other in a worker share its modules: to load them anew for each file was a third of
          // the CPU of a run. A test that leaves a trace in a module takes modules of its own, by vi.resetModules.
          isolate: false,
        },
      })),
    },
  });
}
