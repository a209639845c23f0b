import { existsSync } from "node:fs";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { onTestFinished } from "vitest";

const EXECUTABLE = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium";

/** A browser for one test: its pages share no cookie, cache or connection with other tests. */
export interface TestBrowser {
  /** A page in a context of its own. */
  newPage(options?: BrowserContextOptions): Promise<Page>;
  newContext(options?: BrowserContextOptions): Promise<BrowserContext>;
}

/**
 * Opens the system's Chromium, headless, for one test, and closes the test's pages when the test ends. Its process is
 * started once in each worker, which takes a second of CPU, and ends with the worker.
 */
export async function launchChromium(): Promise<TestBrowser> {
  const browser = await runningChromium();
  const contexts: BrowserContext[] = [];
  onTestFinished(async () => {
    for (const context of contexts) await context.close();
  });
  const newContext = async (options?: BrowserContextOptions) => {
    const context = await browser.newContext(options);
    contexts.push(context);
    return context;
  };
  return { newContext, newPage: async (options) => (await newContext(options)).newPage() };
}

let started: Browser | undefined;

async function runningChromium(): Promise<Browser> {
  // A test may have brought it down.
  if (started?.isConnected() !== true) started = await startChromium();
  return started;
}

async function startChromium(): Promise<Browser> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`no Chromium at ${EXECUTABLE}: install the package chromium, or set CHROMIUM_PATH`);
  }
  return await chromium.launch({
    executablePath: EXECUTABLE,
    // Tests run as root in containers, where Chromium's own sandbox refuses to start.
    chromiumSandbox: false,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      // Otherwise Chromium calls Google's hosts at every start, and a closed network refuses each of many attempts.
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
