import { expect, test } from "vitest";
import { startWithAdmin } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { launchChromium } from "../support/chromium.ts";
import { openDashboard, shows, textOf } from "../support/dashboard.ts";
import { eventually } from "../support/eventually.ts";
import { ask, emitToken, startResuming } from "../support/resume.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const CODE = "c".repeat(64);

test("a stream has its path, its app, its backlog and the delay of its first event", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startWithAdmin({
    routes: { chat: { match: { path: "/chat/*" }, upstream: backend.url, auth: { appCode: true } } },
    apps: { shop: { key: "k", secret: "s", appCodes: [CODE] } },
  });
  const headers = { ...EVENT_SOURCE, "X-Apig-AppCode": CODE };
  const client = openStream(gateway.port, { path: "/chat/rooms/17?token=t", headers });
  const request = await backend.nextRequest();
  const { page, complaints } = await openDashboard(await launchChromium(), gateway);
  await shows(page, "#streams tr:first-child td:nth-child(1)", /^chat\/chat\/rooms\/17$/);
  await shows(page, "#streams tr:first-child td:nth-child(2)", /^127\.0\.0\.1shop$/);
  await shows(page, "#streams tr:first-child td:nth-child(5)", /^–$/);
  await shows(page, "#streams tr:first-child td:nth-child(9)", /^0 B$/);
  request.emit("data: one\n\n");
  await shows(page, "#streams tr:first-child td:nth-child(5)", /^[\d.]+ m?s$/);
  client.socket.pause();
  request.emit(`data: ${"y".repeat(16_000_000)}\n\n`);
  await shows(page, "#streams tr:first-child td:nth-child(9)", /^[\d.]+ [kM]B$/);
  await page.selectOption("#sort", "backlog");
  await shows(page, "#range", /^1–1 of 1$/);
  // A table for screen readers, whatever the layout of its rows is.
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 });
    const table = page.getByRole("table").first();
    expect(await table.getByRole("columnheader", { name: "first event" }).count()).toBe(1);
    expect(await table.getByRole("row").count()).toBe(2);
    expect(await table.getByRole("cell", { name: "chat /chat/rooms/17" }).count()).toBe(1);
  }
  expect(complaints).toEqual([]);
});

test("ended streams are chosen by route and by why they ended, with the keyboard too", async () => {
  const backend = await startBackend((request) => request.openStream());
  const upstream = backend.url;
  const gateway = await startWithAdmin({
    routes: {
      chat: { match: { path: "/chat" }, upstream },
      prices: { match: { path: "/prices" }, upstream },
    },
  });
  const open = async (path: string) => {
    const client = openStream(gateway.port, { path, headers: EVENT_SOURCE });
    const request = await backend.nextRequest();
    await client.opened();
    return { client, request };
  };
  for (let at = 0; at < 3; at++) (await open("/chat")).client.leave();
  (await open("/prices")).client.leave();
  (await open("/prices")).request.endStream();
  (await open("/chat")).request.connection.socket.destroy();
  await eventually(() => gateway.requestLines().length === 6, "six ends");
  const { page, complaints } = await openDashboard(await launchChromium(), gateway);
  await shows(page, "#reasons", /all 6backend failed 1.*client gone 4backend ended 1/);
  expect(await page.locator("#reasons label:visible").count()).toBe(4);
  const ends = async () =>
    (await page.locator("#ends tr").allTextContents()).map((row) =>
      /(chat|prices)\/\w+?(?=backend|client)(backend failed|client gone|backend ended)/
        .exec(row)
        ?.slice(1)
        .join(" "),
    );
  const showsEnds = (wanted: readonly string[]) =>
    eventually(async () => (await ends()).join() === wanted.join(), `the ends ${wanted.join()}`);
  await page.getByText("backend failed 1").click();
  await showsEnds(["chat backend failed"]);
  await page.keyboard.press("ArrowLeft");
  await eventually(async () => (await ends()).length === 6, "all ends");
  await page.selectOption("#end-route", "prices");
  await shows(page, "#reasons", /all 2backend failed 0.*client gone 1backend ended 1/);
  await showsEnds(["prices backend ended", "prices client gone"]);
  await page.getByText("client gone 1").click();
  await showsEnds(["prices client gone"]);
  expect(complaints).toEqual([]);
});

test("the named answers of a route are shown: running, kept, memory and how clients came back", async () => {
  const { gateway, port, requests } = await startResuming({
    server: { admin: 0 },
    resume: { answersPerClient: 2 },
    onRequest: (request) => request.openStream(),
  });
  const { page } = await openDashboard(await launchChromium(), gateway);
  await shows(page, "#answers tr", /^main000 B00$/);
  for (const key of ["k1", "k2"]) await ask(port, { key }).opened();
  emitToken(requests[0], "a");
  requests[0]?.endStream();
  await ask(port, { key: "k1" }).opened();
  await ask(port, { key: "k3" }).opened();
  await shows(page, "#answers tr", /^main11[\d.]+ k?B10$/);
  await shows(page, "#unrecorded", /^Answers that are not kept, by reason: client 1\.$/);
});

test("a gateway without named answers shows no table of them; one without backends says so", async () => {
  const gateway = await startWithAdmin({
    routes: { mock: { match: { path: "/*" }, mock: { status: 200, body: "x" } } },
  });
  const { page } = await openDashboard(await launchChromium(), gateway);
  await shows(page, "#tile-backends", /^none$/);
  expect(await page.locator("#answers-card").isVisible()).toBe(false);
  expect(await page.locator("#backends-empty").isVisible()).toBe(true);
  expect(await textOf(page, "#failures-empty")).toBe("No request was refused, and none has failed.");
});
