import { expect, test } from "vitest";
import { eventually, PATIENCE_MS } from "../../support/eventually.ts";
import { type FastCgiRequest, startFastCgi } from "../../support/fastcgi.ts";
import { BUILDS, fixtureText, type Lab, startLab } from "../../support/nginx-lab.ts";
import { holdsBigEvent, holdsHead, type Live, looksWhole, testLive } from "./live-table.ts";

const EVENT = "data: 1\n\n";
const GZIP = ["Accept-Encoding: gzip"];

/** Whether the client gets `text` from the backend while the stream is open. */
async function receives(lab: Lab, sent: string, text: string): Promise<boolean> {
  const client = await lab.ask("/events");
  const request = await lab.backend.nextRequest();
  request.openStream();
  request.emit(sent);
  return lab.comes(client, text);
}

const ENTRIES: readonly Live[] = [
  { rule: "response-buffered", effect: (lab) => holdsHead(lab, "/events") },
  { rule: "response-buffered", effect: (lab) => holdsBigEvent(lab, "/events") },
  {
    rule: "accel-header-ignored",
    effect: (lab) => holdsBigEvent(lab, "/events", { "X-Accel-Buffering": "no" }),
  },
  { rule: "accel-header-to-the-client", effect: (lab) => holdsBigEvent(lab, "/events") },
  { rule: "accel-header-to-the-backend", effect: (lab) => holdsBigEvent(lab, "/events") },
  { rule: "second-hop", effect: (lab) => holdsHead(lab, "/events", { "X-Accel-Buffering": "no" }) },
  { rule: "buffers-tuned-instead-of-off", effect: (lab) => holdsBigEvent(lab, "/events") },
  {
    rule: "compressed-while-buffered",
    effect: async (lab) => {
      const client = await lab.ask("/events", GZIP);
      const request = await lab.backend.nextRequest();
      request.openStream();
      request.emit(EVENT);
      return !(await lab.comes(client, "\r\n\r\n"));
    },
  },
  {
    rule: "stream-compressed",
    effect: async (lab) => {
      const client = await lab.ask("/events", GZIP);
      const request = await lab.backend.nextRequest();
      request.openStream({ "Cache-Control": "no-transform" });
      request.emit(EVENT);
      await client.received("\r\n\r\n");
      return client.text.includes("Content-Encoding: gzip");
    },
  },
  {
    rule: "stream-rewritten",
    effect: (lab) => receives(lab, "data: http://internal\n\ndata: 2\n\n", "https://example.com"),
    setup: { appears: true },
  },
  {
    rule: "sub-filter-holds",
    // The event's last line break is the end of a separate chunk.
    effect: async (lab) => !(await receives(lab, EVENT, "data: 1\n\n")),
  },
  {
    rule: "rate-limited-while-buffered",
    effect: async (lab) => {
      const client = await lab.ask("/ws", ["Upgrade: websocket", "Connection: upgrade"]);
      const request = await lab.backend.nextRequest();
      const field = `X-Filler: ${"x".repeat(500)}`;
      request.send(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n${field}\r\n\r\n`,
      );
      return !(await lab.comes(client, "\r\n\r\n"));
    },
  },
  {
    rule: "chunked-off",
    effect: async (lab) => {
      const client = await lab.ask("/events");
      const request = await lab.backend.nextRequest();
      request.openStream();
      request.emit(EVENT);
      await client.received("data: 1");
      request.halfClose();
      return looksWhole(client);
    },
  },
  {
    rule: "http10-upstream",
    effect: async (lab) => {
      const client = await lab.ask("/events");
      const request = await lab.backend.nextRequest();
      const isOld = request.head.version === "HTTP/1.0";
      if (isOld) request.send("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
      else {
        request.openStream();
        request.emit(EVENT);
      }
      await client.received("data: 1");
      request.halfClose();
      return looksWhole(client);
    },
  },
  {
    rule: "stream-cached",
    effect: async (lab) => {
      const first = await lab.ask("/events");
      const request = await lab.backend.nextRequest();
      request.openStream({ "Cache-Control": "no-cache" });
      request.emit(EVENT);
      request.endStream();
      await first.received("0\r\n\r\n");
      const second = await lab.ask("/events");
      return !(await lab.happens(() => lab.backend.requests.length === 2)) && second.text.includes("data: 1");
    },
  },
  {
    rule: "cache-lock-holds",
    effect: async (lab) => {
      const first = await lab.ask("/events");
      const request = await lab.backend.nextRequest();
      request.openStream();
      request.emit(EVENT);
      await first.received("data: 1");
      await lab.ask("/events");
      return !(await lab.happens(() => lab.backend.requests.length === 2));
    },
  },
  {
    rule: "stream-stored",
    effect: async (lab) => {
      const client = await lab.ask("/events");
      const request = await lab.backend.nextRequest();
      request.openStream();
      request.emit(EVENT);
      await client.received("data: 1");
      client.leave();
      return !(await lab.happens(() => !request.connection.isOpen));
    },
  },
  {
    rule: "ignores-client-abort",
    effect: async (lab) => {
      const client = await lab.ask("/events");
      const request = await lab.backend.nextRequest();
      request.openStream();
      request.emit(EVENT);
      await client.received("data: 1");
      client.leave();
      return !(await lab.happens(() => !request.connection.isOpen));
    },
  },
];
testLive(ENTRIES);

/** Opens a stream behind FastCGI; whether its first event waits for more data. */
async function holdsFastCgiEvent(lab: Lab, requests: readonly FastCgiRequest[]): Promise<boolean> {
  const client = await lab.ask("/events");
  await eventually(() => requests.length > 0, "a request over FastCGI");
  requests[0]?.send("Content-Type: text/event-stream\r\n\r\ndata: 1\n\n");
  return !(await lab.comes(client, "data: 1"));
}

test.each(BUILDS)(
  "buffering-of-another-protocol: nginx $version holds back events over FastCGI",
  async (build) => {
    const effect = async (patienceMs: number, name: "bad" | "good") => {
      const { port, requests } = await startFastCgi();
      const text = fixtureText("buffering-of-another-protocol", name);
      return holdsFastCgiEvent(
        await startLab(text, { build, patienceMs, ports: { "9001": port } }),
        requests,
      );
    };
    expect({ bad: await effect(700, "bad"), good: await effect(PATIENCE_MS, "good") }).toEqual({
      bad: true,
      good: false,
    });
  },
);
