import { expect, test } from "vitest";
import { startWithAdmin } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { launchChromium } from "../support/chromium.ts";
import { openDashboard, shows, textOf } from "../support/dashboard.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const start = async (server: Record<string, unknown> = {}) => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startWithAdmin({
    routes: {
      chat: { match: { path: "/chat/*" }, upstream: backend.url },
      prices: { match: { path: "/prices" }, upstream: backend.url },
    },
    server,
  });
  const open = async (path: string) => {
    const client = openStream(gateway.port, { path, headers: EVENT_SOURCE });
    await client.opened();
    return client;
  };
  return { backend, gateway, open };
};

const openPage = async (gateway: GatewayFixture, options = {}) =>
  await openDashboard(await launchChromium(), gateway, options);

test("the page shows the gateway's numbers, and follows them", async () => {
  const { backend, gateway, open } = await start();
  const { page, complaints } = await openPage(gateway);
  await shows(page, "#state", /^live$/);
  await shows(page, "#tile-streams", /^0$/);
  expect(await page.locator("#streams-empty").isVisible()).toBe(true);
  expect(await page.locator("#ends-empty").isVisible()).toBe(true);

  const [chat] = [await open("/chat/a"), await open("/prices")];
  await shows(page, "#tile-streams", /^2$/);
  expect(await page.locator("#streams-empty").isVisible()).toBe(false);
  const emitting = setInterval(() => backend.requests[0]?.emit("data: x\n\n"), 50);
  await shows(page, "#streams tr:first-child td:nth-child(7)", /^(1|2)\d$/);
  await shows(page, "#tile-events", /^(1|2)\d$/);
  await shows(page, "#routes", /chat\/chat\/\*1/);
  await shows(page, "#backends", /up/);
  clearInterval(emitting);
  // The chart is drawn: the line's colour is on the canvas.
  const drawn = await page.evaluate(`(() => {
    const canvas = document.querySelector("#chart canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let at = 0; at < data.length; at += 4) if (data[at] === 11 && data[at + 1] === 114) return true;
    return false;
  })()`);
  expect(drawn).toBe(true);

  chat?.leave();
  await shows(page, "#ends tr:first-child", /chat.*client gone/);
  await shows(page, "#tile-streams", /^1$/);
  expect(complaints).toEqual([]);
});

test("by keyboard alone: choose a stream, cancel, choose again, end it; the focus is never lost", async () => {
  const { backend, gateway, open } = await start();
  const client = await open("/chat/a");
  await open("/prices");
  const { page, complaints } = await openPage(gateway);
  await shows(page, "#tile-streams", /^2$/);
  const focused = () =>
    page.evaluate<string>("document.activeElement.ariaLabel ?? document.activeElement.id");
  for (let tab = 0; tab < 20 && !(await focused()).startsWith("End the stream"); tab++) {
    await page.keyboard.press("Tab");
  }
  expect(await focused()).toBe("End the stream of 127.0.0.1 on chat");
  const outline = await page.evaluate<string>("getComputedStyle(document.activeElement).outlineStyle");
  expect(outline).toBe("solid");

  // Rows change around the focus, and it stays.
  const before = await textOf(page, "#streams tr:first-child td:nth-child(4)");
  await eventually(
    async () => (await textOf(page, "#streams tr:first-child td:nth-child(4)")) !== before,
    "the age to change",
  );
  expect(await focused()).toBe("End the stream of 127.0.0.1 on chat");

  await page.keyboard.press("Enter");
  expect(await page.locator("#confirm").isVisible()).toBe(true);
  expect(await textOf(page, "#confirm-text")).toContain("chat, client 127.0.0.1");
  await page.keyboard.press("Escape");
  expect(await page.locator("#confirm").isVisible()).toBe(false);
  expect(client.end).toBeUndefined();

  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  expect(await client.ended()).toBe("clean");
  await shows(page, "#told", /^The stream is ending\.$/);
  await shows(page, "#ends tr:first-child", /chat.*evicted/);
  await shows(page, "#tile-streams", /^1$/);
  expect(await focused()).toBe("streams-title");
  expect(backend.openConnections).toBe(1);
  expect(complaints).toEqual([]);
});

test("fifty streams are shown in pages, by route and order", async () => {
  const { gateway, open } = await start();
  for (let at = 0; at < 50; at++) await open(at % 5 === 0 ? "/prices" : "/chat/a");
  const { page, complaints } = await openPage(gateway);
  await shows(page, "#range", /^1–20 of 50$/);
  expect(await page.locator("#streams tr").count()).toBe(20);
  await page.click("#next");
  await shows(page, "#range", /^21–40 of 50$/);
  await page.click("#next");
  await shows(page, "#range", /^41–50 of 50$/);
  expect(await page.locator("#next").isDisabled()).toBe(true);
  await page.selectOption("#route", "prices");
  await shows(page, "#range", /^1–10 of 10$/);
  await page.selectOption("#sort", "newest");
  await shows(page, "#streams tr:last-child td:first-child .main", /^prices$/);
  // The badge counts all streams, whatever the table shows.
  await shows(page, "#streams-total", /^50$/);
  expect(complaints).toEqual([]);
});

test("a page whose event stream is lost shows that, and reconnects by itself", async () => {
  const first = await start();
  const { page } = await openPage(first.gateway);
  await shows(page, "#state", /^live$/);
  const admin = new URL(first.gateway.adminUrl).host;
  await first.gateway.close();
  await shows(page, "#state", /^connection lost, trying again$/);
  expect(await page.locator("#main").getAttribute("class")).toBe("stale");
  const second = await start({ admin });
  await second.open("/prices");
  await shows(page, "#state", /^live$/);
  await shows(page, "#tile-streams", /^1$/);
  expect(await page.locator("#main").getAttribute("class")).toBe("");
});

test("if there is a token, the page asks for it first", async () => {
  const { gateway } = await start({ adminToken: "a-long-token" });
  const { page } = await openPage(gateway);
  await page.fill("#token", "wrong");
  await page.keyboard.press("Enter");
  await page.getByText("The token is wrong.").waitFor({ state: "visible" });
  await page.fill("#token", "a-long-token");
  await page.keyboard.press("Enter");
  await shows(page, "#state", /^live$/);
});
