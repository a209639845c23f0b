import { expect, test } from "vitest";
import { startWithAdmin } from "../support/admin.ts";
import { refusedPort, startBackend } from "../support/backend.ts";
import { launchChromium } from "../support/chromium.ts";
import { lowContrastsOf, openDashboard, overflowOf, shows } from "../support/dashboard.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

/** A route's name that no column can hold, and no line of a narrow screen. */
const LONG = `assistant-${"conversations-of-the-enterprise-edition-".repeat(5)}v2`;

test.each([
  ["light", 1280],
  ["dark", 1280],
  ["light", 768],
  ["dark", 390],
  ["light", 340],
] as const)(
  "%s, %i px: nothing overflows, nothing jumps when data come, and texts and controls have contrast",
  async (colorScheme, width) => {
    const dead = `http://127.0.0.1:${await refusedPort()}`;
    const backend = await startBackend((request) => request.openStream());
    const gateway = await startWithAdmin({
      routes: {
        chat: { match: { path: "/chat/*" }, upstream: backend.url },
        [LONG]: { match: { path: `/${LONG}/*` }, upstream: dead },
      },
    });
    const { page, complaints } = await openDashboard(await launchChromium(), gateway, {
      colorScheme,
      viewport: { width, height: 800 },
    });
    await shows(page, "#state", /^live$/);
    expect(await lowContrastsOf(page)).toEqual([]);
    // On a narrow screen a row is a card of many lines, and only what is above the list keeps its place.
    const places = () =>
      page.evaluate<number[]>(
        `[...document.querySelectorAll("section")].slice(0, ${width > 960 ? 4 : 3}).map((section) => Math.round(section.getBoundingClientRect().top))`,
      );
    const before = await places();
    for (let at = 0; at < 3; at++) {
      await openStream(gateway.port, { path: "/chat/a", headers: EVENT_SOURCE }).opened();
    }
    await shows(page, "#tile-streams", /^3$/);
    expect(await places()).toEqual(before);
    for (let at = 0; at < 25; at++) {
      await openStream(gateway.port, { path: `/chat/${LONG}`, headers: EVENT_SOURCE }).opened();
    }
    await page.selectOption("#sort", "newest");
    await fetch(`${gateway.url}/${LONG}/x`);
    await shows(page, "#health", /fails/);
    await shows(page, "#streams", /conversations/);
    await shows(page, "#failures", /conversations/);
    expect(await overflowOf(page)).toBe(0);
    expect(await lowContrastsOf(page)).toEqual([]);
    expect(await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")).toBe(
      colorScheme === "dark",
    );
    expect(complaints).toEqual([]);
  },
);

test("the first data move nothing that was shown before", async () => {
  const gateway = await startWithAdmin({
    routes: {
      chat: { match: { path: "/*" }, mock: { events: [{ data: "x" }, { data: "y", after: "1h" }] } },
    },
  });
  for (let at = 0; at < 5; at++) await openStream(gateway.port, { headers: EVENT_SOURCE }).opened();
  const page = await (await launchChromium()).newPage({ viewport: { width: 1280, height: 2400 } });
  await page.addInitScript(`
    window.shift = 0;
    new PerformanceObserver((list) => {
      for (const { value } of list.getEntries()) shift += value;
    }).observe({ type: "layout-shift", buffered: true });
  `);
  await page.goto(gateway.adminUrl);
  await shows(page, "#streams tr:first-child td:nth-child(4)", /^([2-9]|\d\d) s$/);
  // A digit more moves the text of a cell; a row or a block that moves counts a hundred times as much.
  expect(await page.evaluate("shift")).toBeLessThan(0.0001);
});

test("every label of a time on the chart is whole", async () => {
  const gateway = await startWithAdmin({
    routes: { chat: { match: { path: "/*" }, mock: { status: 200, body: "x" } } },
  });
  const { page, complaints } = await openDashboard(await launchChromium(), gateway, {
    viewport: { width: 390, height: 800 },
  });
  await shows(page, "#state", /^live$/);
  // The labels move to the left with each second: all places of the last one in a minute.
  const cut = await page.evaluate<number[]>(`(async () => {
    const { createChart } = await import("/page/chart.js");
    const element = document.createElement("div");
    element.className = "chart";
    document.querySelector("#chart").after(element);
    const chart = createChart(element, document.createElement("p"));
    const canvas = element.querySelector("canvas");
    const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const cut = [];
    for (let second = 0; second < 120; second += 2) {
      chart.add({ at: Date.UTC(2026, 0, 1, 12, 0, second), streams: 0, eventsPerSecond: 0 });
      await new Promise((resolve) => setTimeout(resolve));
      // The last column of pixels, at the height of the labels.
      const height = Math.round(18 * devicePixelRatio);
      copy.clearRect(0, 0, 1, height);
      copy.drawImage(canvas, canvas.width - 1, canvas.height - height, 1, height, 0, 0, 1, height);
      const { data } = copy.getImageData(0, 0, 1, height);
      if (data.some((value, at) => at % 4 === 3 && value > 0)) cut.push(second);
    }
    return cut;
  })()`);
  expect(cut).toEqual([]);
  expect(complaints).toEqual([]);
});
