import { chromium } from "playwright-core";
import { build } from "vite";

let browser;

/** The page of a client in Chromium, at the URL under test, so that its requests have the same origin. */
export async function openPage(url, round) {
  // As root in a container, Chromium's own sandbox refuses to start.
  browser ??= chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
    chromiumSandbox: false,
    args: [
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
    ],
  });
  const page = await (await browser).newPage({ ignoreHTTPSErrors: true });
  await page.exposeFunction("saw", round.saw);
  await page.goto(url);
  round.signal.addEventListener("abort", () => page.close());
  return page;
}

/** Runs `program`, the text of an async function, in a page; `modules` are bundled and in `window.modules`. */
export async function readInPage(url, round, program, modules) {
  const page = await openPage(`${url}/page`, round);
  try {
    if (modules) await page.addScriptTag({ content: await bundled(modules) });
    await page.evaluate(program);
  } finally {
    await page.close();
  }
}

async function bundled(name) {
  const [{ output }] = await build({
    logLevel: "silent",
    configFile: false,
    build: {
      write: false,
      lib: { entry: new URL(import.meta.resolve(name)).pathname, formats: ["iife"], name: "modules" },
    },
  });
  return output[0].code;
}

/** Reads the events of `source` in a page until the text is complete. */
export const READ_SOURCE = (source, length) => `new Promise((resolve, reject) => {
  const source = ${source};
  let text = "";
  source.onmessage = ({ data }) => {
    text += JSON.parse(data);
    window.saw(JSON.parse(data));
    if (text.length < ${length}) return;
    source.close();
    resolve();
  };
  source.onerror = (error) => {
    source.close();
    reject(new Error(error.status ?? "error"));
  };
})`;
