import type { Page, Response } from "playwright-core";
import { expect, test } from "vitest";
import { startDemo } from "../../src/demo/demo.ts";
import { afterTest } from "../support/after-test.ts";
import { launchChromium } from "../support/chromium.ts";
import { eventually } from "../support/eventually.ts";

async function openComparison(options = {}) {
  const [demo, browser] = [await startDemo("127.0.0.1:0"), await launchChromium()];
  afterTest(() => demo.close());
  const page = await browser.newPage(options);
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(demo.pageUrl);
  await page.click("text=Compare them");
  await shows(page, "#state", /^live$/);
  return { page, complaints, demo };
}

const text = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).textContent()) ?? "";

const count = async (page: Page, selector: string): Promise<number> =>
  Number((await text(page, selector)).replaceAll(",", ""));

async function shows(page: Page, selector: string, wanted: RegExp): Promise<void> {
  await eventually(async () => wanted.test(await text(page, selector)), `${selector} ${wanted}`, {
    timeoutMs: 20_000,
    everyMs: 50,
  });
}

/** The listed events as numbers: which one, and its delay for polling, long polling and the stream. */
async function delays(page: Page): Promise<number[][]> {
  // In one evaluation: the page replaces the rows at every event.
  const texts = await page.evaluate<string[][]>(
    `[...document.querySelectorAll("#events tr")].map((row) => [...row.cells].map((cell) => cell.textContent))`,
  );
  const toMs = (cell: string) =>
    cell === "< 1 ms" ? 0 : Number(/^([\d,]+)(?: ms)?$/.exec(cell)?.[1]?.replaceAll(",", ""));
  return texts.map(([number = "", , ...cells]) => [Number(number), ...cells.map(toMs)]);
}

test("three techniques get the same events: with one request, with one per event, or with many empty ones", async () => {
  const { page, complaints } = await openComparison();
  await page.selectOption("#every", "1000");
  await shows(page, "#state", /^live$/);
  const wait = eventually(async () => (await count(page, "#polling-requests")) >= 6, "six polls", {
    timeoutMs: 20_000,
  });
  for (let n = 0; n < 4; n++) await page.click("#now");
  await wait;
  await eventually(
    async () => {
      const events = await Promise.all(
        ["polling", "long-polling", "stream"].map((name) => count(page, `#${name}-events`)),
      );
      return (events[0] ?? 0) >= 4 && events.every((each) => each === events[0]);
    },
    "the same events in all three",
    { timeoutMs: 20_000, everyMs: 20 },
  );
  expect(await count(page, "#stream-requests")).toBe(1);
  expect(await count(page, "#stream-empty")).toBe(0);
  // One request is open; each other request has brought one event, seldom two.
  const waits = await count(page, "#long-polling-requests");
  expect(waits).toBeGreaterThan(2);
  expect(waits).toBeLessThanOrEqual((await count(page, "#long-polling-events")) + 1);
  expect(await text(page, "#backend-requests")).toBe("1");

  const rows = (await delays(page)).filter((row) => row.every((value) => !Number.isNaN(value)));
  expect(rows.length).toBeGreaterThanOrEqual(4);
  const numbers = rows.map(([number = 0]) => number);
  expect(numbers).toEqual(numbers.map((_, at) => (numbers[0] ?? 0) - at));
  const mean = (column: number) => rows.reduce((sum, row) => sum + (row[column] ?? 0), 0) / rows.length;
  expect(mean(1)).toBeGreaterThan(mean(3));
  expect(complaints).toEqual([]);
});

test("the bytes of a response are counted as on the wire", async () => {
  const { page } = await openComparison();
  const answers: Response[] = [];
  page.on("response", (response) => {
    if (/readings\?transport=polling&lastEventId=/.test(response.url())) answers.push(response);
  });
  await page.selectOption("#every", "10000");
  // For a moment the page still shows the figures from before, and a request may have been open at the restart.
  // The next poll is ten seconds away.
  const showsThatOfTheLast = async () => {
    const sizes = await answers.at(-1)?.request().sizes();
    if (sizes === undefined || (await count(page, "#polling-requests")) !== 1) return false;
    return (await text(page, "#polling-bytes")) === `${sizes.responseHeadersSize + sizes.responseBodySize} B`;
  };
  await eventually(showsThatOfTheLast, "the size of the answer", { timeoutMs: 8000 });
});

test("by keyboard: sends an event, stops, and restarts with the figures at zero", async () => {
  const { page, complaints } = await openComparison();
  const focused = () => page.evaluate("document.activeElement.id");
  for (let presses = 0; presses < 5 && (await focused()) !== "now"; presses++) {
    await page.keyboard.press("Tab");
  }
  expect(await focused()).toBe("now");
  for (let n = 0; n < 30; n++) await page.keyboard.press("Enter");
  await shows(page, "#stream-events", /^[3-9]\d/);
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("every");
  await page.keyboard.press("Tab");
  expect(await focused()).toBe("toggle");
  await page.keyboard.press("Enter");
  await shows(page, "#state", /^stopped$/);
  const before = await text(page, "#stream-events");
  await page.click("#now");
  await page.click("#now");
  expect(await text(page, "#stream-events")).toBe(before);
  await page.focus("#toggle");
  await page.keyboard.press("Enter");
  await shows(page, "#state", /^live$/);
  await shows(page, "#stream-requests", /^1$/);
  // An event comes about every two seconds, and a busy machine may look late.
  expect(await count(page, "#stream-events")).toBeLessThan(Number(before));
  expect(complaints).toEqual([]);
});

test("when the gateway is gone the page shows it and reconnects", async () => {
  const { page, demo } = await openComparison();
  await shows(page, "#stream-requests", /^1$/);
  await demo.close();
  await shows(page, "#state", /^reconnecting$/);
  await shows(page, "#stream-requests", /^[2-9]$/);
});

test("the drawing has the figures' events, fits a narrow screen, and respects reduced motion", async () => {
  const { page, complaints } = await openComparison({
    viewport: { width: 340, height: 700 },
    colorScheme: "dark",
    reducedMotion: "reduce",
  });
  await page.click("#now");
  await shows(page, "#stream-events", /^[1-9]/);
  const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
  expect(await page.evaluate(overflow)).toBe(0);
  expect(complaints).toEqual([]);
  // The colour of events in the dark theme: an event has been drawn.
  const isDrawn = `(() => {
    const canvas = document.querySelector("#timeline");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) if (data[at] === 59 && data[at + 1] === 201) return true;
    return false;
  })()`;
  await eventually(async () => await page.evaluate(isDrawn), "a dot on the timeline", { timeoutMs: 20_000 });
});
