import { expect, it } from "vitest";
import { startBackend } from "../../support/backend.ts";
import { openClientPage } from "../../support/client-page.ts";
import { eventually } from "../../support/eventually.ts";
import { startGatewayTo } from "../../support/gateway.ts";
import { startPageServer } from "../../support/page-server.ts";

/** @microsoft/fetch-event-source, unmodified, in Chromium and from another origin. */

const init = {
  method: "POST",
  headers: { Authorization: "Bearer blue", "Content-Type": "application/json" },
  body: JSON.stringify({ prompt: "日" }),
};

it.each(["the page's origin", "true"])(
  "reads the stream of a JSON POST and repeats the POST with last-event-id, with cors: %s",
  async (how) => {
    const pages = await startPageServer();
    const backend = await startBackend();
    const cors = how === "true" ? true : { allowOrigins: [pages.origin] };
    const gateway = await startGatewayTo(backend.url, { cors });
    const page = await openClientPage(pages.origin + pages.path);
    const source = await page.open("openFetch", "fetch", `${gateway.url}/answers`, init);
    const request = await backend.nextRequest();
    expect(request.method).toBe("POST");
    expect(request.field("authorization")).toBe("Bearer blue");
    expect((await request.wholeBody()).toString("utf8")).toBe(init.body);
    request.openStream();
    expect(await source.next()).toMatchObject({ type: "open", status: 200 });
    for (const n of [1, 2, 3]) {
      request.emit(`id: ${n}\nevent: delta\ndata: number ${n}\n\n`);
      expect(await source.next()).toMatchObject({ type: "delta", data: `number ${n}`, id: String(n) });
    }
    // It takes an id as soon as the line arrives, even of an incomplete event; so this event has no id.
    request.emit("data: ha");
    request.reset();
    // A clean end would be "close", without a second request.
    expect(await source.next()).toMatchObject({ type: "error", failure: "TypeError: network error" });

    const again = await backend.nextRequest();
    expect(again.method).toBe("POST");
    expect(again.field("last-event-id")).toBe("3");
    expect((await again.wholeBody()).toString("utf8")).toBe(init.body);
    again.openStream();
    expect(await source.next()).toMatchObject({ type: "open", status: 200 });
    again.endStream();
    expect(await source.next()).toMatchObject({ type: "close" });
    expect(backend.requests.map(({ method }) => method)).toEqual(["POST", "POST"]);
  },
);

it("cancels the backend request when the page aborts", async () => {
  const pages = await startPageServer();
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { cors: true });
  const page = await openClientPage(pages.origin + pages.path);
  const source = await page.open("openFetch", "fetch", `${gateway.url}/answers`, init);
  const request = await backend.nextRequest();
  request.openStream();
  expect(await source.next()).toMatchObject({ type: "open" });
  await source.close();
  await eventually(() => request.connection.closedBy, "the cancellation at the backend");
});

it("reads the gateway's 502 and its request id across origins", async () => {
  const pages = await startPageServer();
  const backend = await startBackend((request) => request.reset());
  const gateway = await startGatewayTo(backend.url, { cors: { allowOrigins: [pages.origin] } });
  const page = await openClientPage(pages.origin + pages.path);
  const source = await page.open("openFetch", "fetch", `${gateway.url}/answers`, init);
  const { status, body, requestId } = await source.next();
  expect(status).toBe(502);
  expect(requestId).toMatch(/./);
  expect(JSON.parse(body ?? "")).toEqual({
    error_code: "APIG.0201",
    error_msg: "Backend unavailable.",
    request_id: requestId,
    error: { message: "Backend unavailable.", type: "server_error", code: "APIG.0201" },
  });
});

it("cannot send its request on a route without cors", async () => {
  const pages = await startPageServer();
  const backend = await startBackend((request) => request.respond(204));
  const gateway = await startGatewayTo(backend.url);
  const page = await openClientPage(pages.origin + pages.path);
  const source = await page.open("openFetch", "fetch", `${gateway.url}/answers`, init);
  expect(await source.next()).toMatchObject({ type: "error", failure: "TypeError: Failed to fetch" });
  await source.close();
  expect(new Set(backend.requests.map(({ method }) => method))).toEqual(new Set(["OPTIONS"]));
});
