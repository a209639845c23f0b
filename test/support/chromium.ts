import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { onTestFinished } from "vitest";

const EXECUTABLE = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium";

/** Starts the system's Chromium, headless, for one test; closes it when the test ends. */
export async function launchChromium(): Promise<Browser> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`no Chromium at ${EXECUTABLE}: install the package chromium, or set CHROMIUM_PATH`);
  }
  const browser = await chromium.launch({
    executablePath: EXECUTABLE,
    // Tests run as root in containers, where Chromium's own sandbox refuses to start.
    chromiumSandbox: false,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      // Otherwise Chromium connects to its vendor's hosts at every start, which a closed network refuses many times.
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  onTestFinished(() => browser.close());
  return browser;
}
