import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { launchChromium } from "../support/chromium.ts";
import { startGateway } from "../support/gateway.ts";

test("Chromium gets each version across origins, by a field and by a parameter, also for a stream", async () => {
  const answering = (name: string) =>
    startBackend(async (request) => {
      await request.wholeBody();
      const isStream = request.target.startsWith("/api/events");
      const type = isStream ? "text/event-stream" : "text/plain";
      request.respond(200, { "Content-Type": type }, isStream ? `data: ${name}\n\n` : name);
    });
  const pages = await startBackend((request) =>
    request.respond(200, { "Content-Type": "text/html" }, "<title>page</title>"),
  );
  const [v1, v2, v3] = await Promise.all([answering("v1"), answering("v2"), answering("v3")]);
  const cors = { allowOrigins: [pages.url], allowMethods: ["GET", "PUT"] };
  const gateway = await startGateway({
    routes: {
      v1: { match: { path: "/api/*" }, upstream: v1.url, cors },
      v2: { match: { path: "/api/*", header: { "X-Api-Version": "2" } }, upstream: v2.url, cors },
      v3: { match: { path: "/api/*", query: { v: "3" } }, upstream: v3.url, cors },
    },
  });
  const page = await (await launchChromium()).newPage();
  await page.goto(pages.url);
  const seen = await page.evaluate(async (api) => {
    const ask = async (query: string, init: RequestInit) =>
      await (await fetch(`${api}/api/a${query}`, init)).text();
    const event = await new Promise((resolve, reject) => {
      const source = new EventSource(`${api}/api/events?v=3`);
      source.onmessage = ({ data }) => {
        source.close();
        resolve(data);
      };
      source.onerror = () => reject(new Error("no event"));
    });
    return [
      await ask("", {}),
      await ask("", { method: "PUT" }),
      await ask("", { headers: { "X-Api-Version": "2" } }),
      await ask("", { method: "PUT", body: "x", headers: { "X-Api-Version": "2" } }),
      // The browser remembers the preflight of version 2.
      await ask("", { method: "PUT", headers: { "X-Api-Version": "1" } }),
      await ask("?v=3", { method: "PUT" }),
      await ask("?v=3", { method: "PUT", headers: { "X-Other": "1" } }),
      event,
    ];
  }, gateway.url);
  expect(seen).toEqual(["v1", "v1", "v2", "v2", "v1", "v3", "v3", "v3"]);
  const reached = [v1, v2, v3].flatMap(({ requests }) => requests.map(({ method }) => method));
  expect(reached).not.toContain("OPTIONS");
});
