import { onTestFinished, TestRunner } from "vitest";

/** Runs `close` when the test under way ends; made in a hook, a fixture is closed by whoever made it. */
export function afterTest(close: () => Promise<void> | void): void {
  if (TestRunner.getCurrentTest() !== undefined) onTestFinished(async () => close());
}
