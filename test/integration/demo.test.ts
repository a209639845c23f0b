import { createServer, get } from "node:http";
import { expect, test } from "vitest";
import { listen, startBackends } from "../../src/demo/backends.ts";
import { DemoAddressError, startDemo } from "../../src/demo/demo.ts";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";
import { START_MS, startSluice } from "../support/sluice-process.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

const portOf = (url: string): number => Number(new URL(url).port);

async function demo() {
  const running = await startDemo("127.0.0.1:0");
  afterTest(() => running.close());
  return { ...running, port: portOf(running.gatewayUrl) };
}

const nginxPortOf = async (pageUrl: string): Promise<number> =>
  Number(/"nginx-port" content="(\d*)"/.exec(await (await fetch(pageUrl)).text())?.[1]);

const times = (client: StreamClient): string[] =>
  [...client.text.matchAll(/^data: (\d{4}-.*Z)$/gm)].map(([, time = ""]) => time);

const post = (url: string, body: unknown): Promise<Response> =>
  fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

test("the time arrives every second through the gateway, and named events too", async () => {
  const { port } = await demo();
  const client = openStream(port, { path: "/stream" });
  await eventually(() => times(client).length >= 3, "three times");
  expect(client.field("content-type")).toBe("text/event-stream");
  expect(client.field("x-accel-buffering")).toBe("no");
  expect(client.text).toContain('event: userlogin\ndata: {"username":"John123"}\n\n');
  // One by one: two events are a second apart, when they are sent and when they arrive.
  const arrived = client.arrivals.filter(({ bytes }) => bytes.includes("Z\n\n")).map(({ at }) => at);
  // The longest gap: an event that a stalled machine delivers late is closer to the next one.
  const gaps = arrived.slice(1).map((at, before) => at - (arrived[before] ?? 0));
  expect(Math.max(...gaps)).toBeGreaterThan(700);
});

test("an nginx without sluice holds the same stream back, and ends with the demo", async () => {
  const running = await startDemo("127.0.0.1:0");
  let isClosed = false;
  const close = async () => {
    if (!isClosed) await running.close();
    isClosed = true;
  };
  afterTest(close);
  const nginxPort = await nginxPortOf(running.pageUrl);
  const [live, held] = [portOf(running.gatewayUrl), nginxPort].map((port) =>
    openStream(port, { path: "/stream" }),
  );
  if (live === undefined || held === undefined) throw new Error("two clients");
  await eventually(() => times(live).length >= 3, "three times");
  // Not even the head is forwarded.
  expect(held.arrivals).toEqual([]);
  const { headers } = await fetch(`http://127.0.0.1:${nginxPort}/stream`, { method: "HEAD" });
  expect(headers.get("server")).toMatch(/^nginx/);
  expect(headers.get("access-control-allow-origin")).toBe("*");
  await close();
  await expect(fetch(`http://127.0.0.1:${nginxPort}/stream`)).rejects.toThrow();
});

test.each(["SIGKILL", "SIGHUP"] as const)("a demo that ends by %s leaves no nginx behind", async (signal) => {
  const demo = startSluice(["demo", "--listen", "127.0.0.1:0"]);
  const pageUrl = (await eventually(() => /Open +(\S+)/.exec(demo.text())?.[1], "the address of the page", {
    timeoutMs: START_MS,
  })) as string;
  const nginx = `http://127.0.0.1:${await nginxPortOf(pageUrl)}/stream`;
  expect((await fetch(nginx, { method: "HEAD" })).status).toBe(200);
  demo.kill(signal);
  await eventually(
    () =>
      fetch(nginx, { method: "HEAD" }).then(
        () => false,
        () => true,
      ),
    "the end of nginx",
  );
});

test.each([
  ["none", ""],
  ["one that does not start", "/bin/false"],
])("with an nginx that is %s, the demo runs and its page shows no nginx", async (_, nginx) => {
  const running = await startDemo("127.0.0.1:0", { nginx });
  afterTest(() => running.close());
  expect(await nginxPortOf(running.pageUrl)).toBe(0);
});

test("a crash of the backend is not a clean end, and the last id resumes without loss", async () => {
  const { port, gatewayUrl } = await demo();
  const first = openStream(port, { path: "/stream" });
  await eventually(() => times(first).length >= 1, "the first time");
  expect((await post(`${gatewayUrl}/stream/cut`, {})).status).toBe(204);
  expect(await first.ended()).not.toBe("clean");

  const witness = openStream(port, { path: "/stream" });
  await eventually(() => times(witness).length >= 1, "a time that the first client missed");
  const lastId = [...first.text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
  const second = openStream(port, { path: "/stream", headers: { "Last-Event-ID": lastId } });
  await eventually(() => times(second).includes(times(witness)[0] ?? "none"), "the missed time");
  expect(times(second)).not.toContain(times(first).at(-1));
});

test("a chat message comes back through the stream, also to clients that join later", async () => {
  const { port, gatewayUrl } = await demo();
  const listener = openStream(port, { path: "/chat/events" });
  await listener.received('event: presence\ndata: {"online":1}');
  const answer = await post(`${gatewayUrl}/chat/messages`, { name: "Ada", text: " hello " });
  expect(answer.status).toBe(202);
  await listener.received('{"name":"Ada","text":"hello","sentAt":');
  const newcomer = openStream(port, { path: "/chat/events" });
  await newcomer.received('{"name":"Ada","text":"hello","sentAt":');
  newcomer.leave();
  await listener.received('{"online":2}\n\nevent: presence\ndata: {"online":1}');
});

test.each([
  [400, "{"],
  [400, "[]"],
  [422, { name: "Ada" }],
  [422, { name: "Ada", text: "x".repeat(501) }],
  [413, { name: "Ada", text: "x".repeat(100_000) }],
])("an invalid chat message is a %i", async (status, body) => {
  const { gatewayUrl } = await demo();
  expect((await post(`${gatewayUrl}/chat/messages`, body)).status).toBe(status);
});

test("the chat keeps a bounded history", async () => {
  const { port, gatewayUrl } = await demo();
  const listener = openStream(port, { path: "/chat/events" });
  for (let number = 1; number <= 60; number += 1) {
    await post(`${gatewayUrl}/chat/messages`, { name: "Ada", text: `no. ${number}` });
  }
  await listener.received('"no. 60"');
  const stranger = openStream(port, { path: "/chat/events", headers: { "Last-Event-ID": "of-another-run" } });
  await stranger.received('"no. 60"');
  expect(stranger.text.match(/"no\. \d+"/g)).toHaveLength(50);
});

test("polls, long polls and streams of readings share one backend request", async () => {
  const { port, gatewayUrl } = await demo();
  const url = `${gatewayUrl}/readings`;
  const client = openStream(port, { path: "/readings" });
  await client.opened();
  const { lastEventId } = (await (await fetch(`${url}?transport=polling`)).json()) as { lastEventId: string };
  const waiting = fetch(`${url}?transport=long-polling&lastEventId=${encodeURIComponent(lastEventId)}`);
  const { number } = (await (await post(url, {})).json()) as { number: number };
  await client.received(`data: {"number":${number},`);
  expect(client.text).toContain('"requests":1}');
  expect(client.text).not.toContain('"requests":2}');
  const { events } = (await (await waiting).json()) as { events: { data: string }[] };
  expect(events.map(({ data }) => JSON.parse(data) as unknown)).toContainEqual(
    expect.objectContaining({ requests: 1 }),
  );
});

test("a burst of any size arrives completely and in order", async () => {
  const { port } = await demo();
  const client = openStream(port, { path: "/burst?events=99999" });
  expect(await client.ended(20_000)).toBe("clean");
  const numbers = [...client.text.matchAll(/^data: \{"number":(\d+)/gm)].map(([, number]) => Number(number));
  expect(numbers).toEqual(Array.from({ length: 10_000 }, (_, at) => at + 1));
  expect(client.text.endsWith('event: done\ndata: {"events":10000}\n\n')).toBe(true);
});

test("words come one by one in the response to a POST", async () => {
  const { port } = await demo();
  const body = JSON.stringify({ stream: true, messages: [] });
  const headers = { "Content-Type": "application/json" };
  const client = openStream(port, { path: "/v1/chat/completions", method: "POST", headers, body });
  await client.received('"content":"sluice "');
  expect(client.end).toBeUndefined();
  expect(await client.ended(15_000)).toBe("clean");
  expect(client.text.endsWith("data: [DONE]\n\n")).toBe(true);
  expect(client.arrivals.length).toBeGreaterThan(20);
});

test("only the page's origin may post to the chat, and its preflight never reaches the backend", async () => {
  const { gatewayUrl, pageUrl } = await demo();
  const preflight = (origin: string) =>
    fetch(`${gatewayUrl}/chat/messages`, {
      method: "OPTIONS",
      headers: {
        Origin: origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
      },
    });
  const own = await preflight(pageUrl);
  expect(own.ok).toBe(true);
  expect(own.headers.get("access-control-allow-origin")).toBe(pageUrl);
  expect((await preflight("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull();
  // The backend itself does not support OPTIONS.
  const backends = await startBackends();
  afterTest(() => backends.close());
  expect((await fetch(`${backends.url}/chat/messages`, { method: "OPTIONS" })).status).toBe(404);
});

test("the page is complete at its own address and behind the gateway", async () => {
  const { gatewayUrl, pageUrl, port } = await demo();
  for (const [base, gatewayPort] of [[pageUrl, String(port)] as const, [gatewayUrl, ""] as const]) {
    const html = await (await fetch(base)).text();
    expect(html).toContain(`<meta name="gateway-port" content="${gatewayPort}">`);
    const linked = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path);
    const scripts = [
      ...["stream", "chart", "chat", "burst", "completion", "event-blocks", "gateway"],
      ...["answer", "named-request"],
      ...["compare", "lane", "techniques", "timeline", "comparison"],
    ];
    for (const path of [...linked, ...scripts.map((name) => `/page/${name}.js`)]) {
      expect((await fetch(`${base}${path}`)).status, path).toBe(200);
    }
    expect((await fetch(`${base}/page/../demo.ts`)).status).not.toBe(200);
  }
});

test("a target that URL parsers refuse does not crash the backends", async () => {
  const backends = await startBackends();
  afterTest(() => backends.close());
  for (const path of ["//", "/burst?%", "/stream?//", "http://["]) {
    const request = get({ port: backends.port, host: "127.0.0.1", path });
    const status = await new Promise((resolve) => {
      request.on("response", (response) => resolve(response.statusCode)).on("error", resolve);
    });
    expect(status, path).toBeDefined();
    request.destroy();
  }
  expect((await fetch(`${backends.url}/burst?events=1`)).status).toBe(200);
});

test("if port 8000 is in use, the demo takes a free port; a given address is used or refused", async () => {
  const taken = await listen(createServer(), "127.0.0.1", 0);
  afterTest(() => taken.close());
  const refused = startDemo(`127.0.0.1:${taken.port}`);
  await expect(refused).rejects.toMatchObject({ code: "EADDRINUSE" });
  await expect(startDemo("nonsense:")).rejects.toThrow(DemoAddressError);
  await expect(startDemo("unix:/run/sluice.sock")).rejects.toThrow(DemoAddressError);

  // Both demos start, whether or not another process uses port 8000.
  const one = await startDemo();
  afterTest(() => one.close());
  const two = await startDemo();
  afterTest(() => two.close());
  expect(portOf(one.gatewayUrl)).not.toBe(portOf(two.gatewayUrl));
  const client = openStream(portOf(two.gatewayUrl), { path: "/stream" });
  await eventually(() => times(client).length >= 1, "the time");
});

test("a demo with listeners closes and leaves nothing behind", async () => {
  const resources = () => process.getActiveResourcesInfo().filter((name) => /^(?:TCP|Timeout)/.test(name));
  const before = resources().length;
  const { gatewayUrl, port, close } = await demo();
  const listeners = ["/stream", "/chat/events", "/readings"].map((path) => openStream(port, { path }));
  await Promise.all(listeners.map((client) => client.opened()));
  const abandoned = new AbortController();
  const words = await fetch(`${gatewayUrl}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ stream: true }),
    signal: abandoned.signal,
  });
  abandoned.abort();
  await expect(words.text()).rejects.toThrow();
  // If the gateway waited for idle connections, it would take its whole timeout, and users would press Ctrl-C again.
  const closingAt = performance.now();
  await close();
  expect(performance.now() - closingAt).toBeLessThan(3000);
  await Promise.all(listeners.map((client) => client.ended()));
  await eventually(() => resources().length <= before, `no more than ${before} sockets and timers`);
});
