import { defineConfig } from "vitest/config";

/** Milliseconds: many times what the longest takes, as a machine that is short of time does. */
const project = (name: string, testTimeout: number) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: 60_000 },
});

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    // Two workers on two cores: tests measure arrival order, and a starved machine reorders nothing but time.
    maxWorkers: 2,
    projects: [
      project("unit", 120_000),
      project("integration", 60_000),
      project("security", 60_000),
      project("e2e", 120_000),
    ],
  },
});
