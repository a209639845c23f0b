import { onTestFinished, TestRunner } from "vitest";

/** Runs `close` when the current test ends; a fixture that is created in a hook is closed by that hook. */
export function afterTest(close: () => Promise<void> | void): void {
  if (TestRunner.getCurrentTest() !== undefined) onTestFinished(async () => close());
}
