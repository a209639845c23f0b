import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { startDemo } from "../../src/demo/demo.ts";
import { afterTest } from "../support/after-test.ts";
import { launchChromium, type TestBrowser } from "../support/chromium.ts";
import { eventually } from "../support/eventually.ts";

interface Tab {
  readonly page: Page;
  /** The errors that the browser reported. */
  readonly complaints: string[];
}

async function demo() {
  const running = await startDemo("127.0.0.1:0");
  afterTest(() => running.close());
  return running;
}

async function openTab(browser: TestBrowser, url: string): Promise<Tab> {
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() !== "log") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, complaints };
}

const text = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).textContent()) ?? "";

async function shows(page: Page, selector: string, wanted: RegExp): Promise<void> {
  await eventually(async () => wanted.test(await text(page, selector)), `${selector} ${wanted}`, {
    timeoutMs: 20_000,
    everyMs: 50,
  });
}

test("the page shows the time as it arrives, its delay, and named events", async () => {
  const [{ pageUrl, gatewayUrl }, browser] = [await demo(), await launchChromium()];
  const { page, complaints } = await openTab(browser, pageUrl);
  expect(new URL(pageUrl).origin).not.toBe(new URL(gatewayUrl).origin);

  const seen = new Set<string>();
  await eventually(
    async () => seen.add(await text(page, "#clock")).size >= 4,
    "the time to change three times",
    { timeoutMs: 30_000, everyMs: 50 },
  );
  expect(await text(page, "#state")).toBe("live");
  expect(await text(page, "#delay")).toMatch(/^(?:< 1|\d+) ms$/);
  expect(await text(page, "#lost")).toBe("0");
  // Any user: the first login was missed if the browser took more than two seconds to start.
  await shows(page, "#log", /userlogin\{"username":"[^"]+"\}/);
  expect(await page.locator("#chart rect[height='0']").count()).toBeLessThan(60);
  expect(await text(page, "#curl")).toBe(`curl -N ${gatewayUrl}/stream`);
  expect(complaints).toEqual([]);
});

test("the page shows how many events an nginx without sluice holds back", async () => {
  const [{ pageUrl }, browser] = [await demo(), await launchChromium()];
  const { page, complaints } = await openTab(browser, pageUrl);
  await shows(page, "#held-count", /^[3-9]$/);
  await shows(page, "#held-age", /^[2-9] s$/);
  expect(await page.isVisible("#held-none")).toBe(false);
  expect(complaints).toEqual([]);
});

test("without nginx the page says how to install it; behind another server it says nothing", async () => {
  const running = await startDemo("127.0.0.1:0", { nginx: "" });
  afterTest(() => running.close());
  const browser = await launchChromium();
  const { page, complaints } = await openTab(browser, running.pageUrl);
  await shows(page, "#held-none", /apt-get install nginx/);
  expect([await page.isVisible("#held-none"), await page.isVisible("#held-lane")]).toEqual([true, false]);
  const behind = await openTab(browser, running.gatewayUrl);
  await shows(behind.page, "#state", /^live$/);
  expect(await behind.page.isVisible("#held")).toBe(false);
  expect([...complaints, ...behind.complaints]).toEqual([]);
});

test("a chat message of one tab appears in another, after a preflight that sluice answered", async () => {
  const [{ pageUrl, gatewayUrl }, browser] = [await demo(), await launchChromium()];
  const [one, two] = [await openTab(browser, pageUrl), await openTab(browser, pageUrl)];
  await shows(two.page, "#online", /^2 here$/);
  await one.page.fill("#name", "Ada");
  await one.page.fill("#text", "<b>hello</b>");
  await one.page.press("#text", "Enter");
  await shows(two.page, "#messages", /^Ada <b>hello<\/b>$/);
  // The response to the POST may come after the event.
  await eventually(async () => (await one.page.inputValue("#text")) === "", "the field to be emptied");
  expect([...one.complaints, ...two.complaints]).toEqual([]);

  // A page of an origin that the route does not allow cannot send, which shows that the browser sends a preflight.
  const stranger = await openTab(browser, gatewayUrl.replace("127.0.0.1", "localhost"));
  const refused = await stranger.page.evaluate(async (url) => {
    const json = { "Content-Type": "application/json" };
    const sent = fetch(url, { method: "POST", headers: json, body: '{"name":"Eve","text":"hi"}' });
    return await sent.then(
      () => "sent",
      (error: Error) => error.name,
    );
  }, `${gatewayUrl}/chat/messages`);
  expect(refused).toBe("TypeError");
  expect(await text(two.page, "#messages")).not.toContain("Eve");
});

test("a burst is counted; words come one by one, and Stop stops them", async () => {
  const [{ pageUrl }, browser] = [await demo(), await launchChromium()];
  const { page, complaints } = await openTab(browser, pageUrl);
  await page.selectOption("#burst-events", "10000");
  await page.click("#burst button");
  await shows(page, "#burst-received", /^10,000$/);
  expect(await text(page, "#burst-order")).toBe("yes");
  expect(await text(page, "#burst-took")).toMatch(/^[\d.]+ ms$/);

  await page.click("#ask-button");
  await shows(page, "#words", /^A sluice is a/);
  expect(await text(page, "#words")).not.toMatch(/is not read\.$/);
  await page.click("#ask-button");
  await shows(page, "#words-figures", /^stopped$/);
  await page.click("#ask-button");
  await shows(page, "#words", /is not read\.$/);
  expect(complaints).toEqual([]);
});

/** The whole text of the slow model, from a request of its own. */
async function wholeAnswer(gatewayUrl: string): Promise<string> {
  const body = JSON.stringify({ model: "demo-slow" });
  const response = await fetch(`${gatewayUrl}/v1/chat/completions`, { method: "POST", body });
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  return choices[0]?.message.content ?? "";
}

test("an answer survives cuts before and after its first word: each word comes once, of one request", async () => {
  const [{ pageUrl, gatewayUrl }, browser] = [await demo(), await launchChromium()];
  const { page, complaints } = await openTab(browser, pageUrl);
  await page.click("#answer-ask");
  await shows(page, "#answer-state", /^waiting for the model$/);
  await page.click("#answer-cut");
  await shows(page, "#answer-state", /^not connected$/);
  await shows(page, "#answer-words", /^[1-9]/);
  expect(await text(page, "#answer-from")).toBe("earliest");
  await page.click("#answer-cut");
  await shows(page, "#answer-connections", /^3$/);
  await shows(page, "#answer-state", /^whole$/);
  expect(await text(page, "#answer")).toBe(await wholeAnswer(gatewayUrl));
  expect(await text(page, "#answer-requests")).toBe("1");
  expect(await text(page, "#answer-connections")).toBe("3");
  expect(await text(page, "#answer-from")).toMatch(/^~[\w-]+-\d+$/);
  expect(complaints).toEqual([]);
});

test("a reloaded page goes on with the answer that it asked for, and so does another client", async () => {
  const [{ pageUrl, gatewayUrl }, browser] = [await demo(), await launchChromium()];
  const { page, complaints } = await openTab(browser, pageUrl);
  await page.click("#answer-ask");
  await shows(page, "#answer-words", /^[1-9]/);
  await Promise.all([page.waitForEvent("load"), page.click("#answer-reload")]);
  await shows(page, "#answer-from", /^earliest$/);
  const [, url = ""] = /^curl -N '(.*)'$/.exec(await text(page, "#answer-curl")) ?? [];
  const elsewhere = await (await fetch(url)).text();
  expect(elsewhere).toMatch(/data: \[DONE\]\n\n$/);
  await shows(page, "#answer-state", /^whole$/);
  expect(await text(page, "#answer")).toBe(await wholeAnswer(gatewayUrl));
  expect(await text(page, "#answer-requests")).toBe("1");
  expect(complaints).toEqual([]);
});

test("Cancel stops the model, also before its first word; then the page asks anew", async () => {
  const [{ pageUrl, adminUrl }, browser] = [await demo(), await launchChromium()];
  const answersAre = (state: string, count: number) =>
    eventually(async () => {
      const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
      const found = new RegExp(`^sluice_answers\\{.*state="${state}"\\} (\\d+)$`, "m").exec(metrics);
      return Number(found?.[1] ?? 0) === count;
    }, `${count} ${state}`);
  const { page, complaints } = await openTab(browser, pageUrl);
  await page.click("#answer-ask");
  await answersAre("waiting", 1);
  await page.click("#answer-cancel");
  await shows(page, "#answer-state", /^cancelled$/);
  await answersAre("waiting", 0);
  expect(await text(page, "#answer-words")).toBe("0");

  await page.click("#answer-ask");
  await shows(page, "#answer-words", /^[1-9]/);
  await answersAre("running", 1);
  await page.click("#answer-cancel");
  await shows(page, "#answer-state", /^cancelled$/);
  await answersAre("running", 0);
  await answersAre("broken", 1);
  await page.reload();
  await shows(page, "#answer-state", /^not asked$/);
  expect(complaints).toEqual([]);
});

test("after a crash of the backend the page reconnects and has lost nothing", async () => {
  const [{ pageUrl }, browser] = [await demo(), await launchChromium()];
  const { page, complaints } = await openTab(browser, pageUrl);
  await shows(page, "#events", /^[1-9]/);
  await page.click("#cut");
  await shows(page, "#reconnects", /^1$/);
  await shows(page, "#state", /^live$/);
  await shows(page, "#log", /caught up/);
  expect(await text(page, "#lost")).toBe("0");
  // The browser reports the break, which is right: the end was not clean.
  expect(complaints.every((line) => line.includes("ERR_INCOMPLETE_CHUNKED_ENCODING"))).toBe(true);
  expect(complaints).toHaveLength(1);
});

test("the page also works behind the gateway alone, on a narrow screen, in the dark", async () => {
  const [{ gatewayUrl }, browser] = [await demo(), await launchChromium()];
  const { page, complaints } = await openTab(browser, gatewayUrl);
  await page.setViewportSize({ width: 340, height: 700 });
  await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
  await shows(page, "#delay", / ms$/);
  const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
  expect(await page.evaluate(overflow)).toBe(0);
  expect(complaints).toEqual([]);
});
