import type { Page } from "playwright-core";
import type { TestBrowser } from "./chromium.ts";
import { eventually } from "./eventually.ts";
import type { GatewayFixture } from "./gateway.ts";

/** Opens the dashboard of a gateway; `complaints` are the errors of its console. */
export async function openDashboard(browser: TestBrowser, { adminUrl }: GatewayFixture, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(adminUrl);
  return { page, complaints };
}

export const textOf = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).textContent()) ?? "";

/** Waits until an element of the dashboard has a text. */
export async function shows(page: Page, selector: string, wanted: RegExp): Promise<void> {
  let last = "";
  await eventually(
    async () => {
      last = await textOf(page, selector);
      return wanted.test(last);
    },
    `${selector} ${wanted}`,
    { timeoutMs: 20_000, everyMs: 50 },
  ).catch((error: unknown) => {
    throw new Error(`${selector} says ${last}`, { cause: error });
  });
}

/** Returns by how many CSS pixels a page is wider than its window. */
export const overflowOf = (page: Page): Promise<number> =>
  page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");

/** Returns the texts with a contrast below 4.5:1 and the borders of controls with one below 3:1 (WCAG 2.2, 1.4.3 and 1.4.11). */
export const lowContrastsOf = (page: Page): Promise<string[]> => page.evaluate<string[]>(LOW_CONTRASTS);

const LOW_CONTRASTS = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba("Canvas");
  };
  const isSeen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || !isSeen(element) || element.closest(":disabled, noscript, .unseen, option")) continue;
    const ratio = contrast(rgba(getComputedStyle(element).color), ground(element));
    if (ratio < 4.5) low.push("text " + node.data.trim() + " " + ratio.toFixed(2));
  }
  for (const element of document.querySelectorAll("select, button, .chip, input:not([type=radio])")) {
    if (!isSeen(element) || element.matches(":disabled")) continue;
    const outside = ground(element.parentElement);
    const style = getComputedStyle(element);
    const colours = [style.borderTopColor, style.backgroundColor].map(rgba).filter((colour) => colour[3] === 255);
    const ratio = Math.max(1, ...colours.map((colour) => contrast(colour, outside)));
    if (ratio < 3) low.push("control " + element.outerHTML.slice(0, 60) + " " + ratio.toFixed(2));
  }
  return low;
})()`;
