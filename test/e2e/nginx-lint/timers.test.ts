import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import type { BackendRequest } from "../../support/backend.ts";
import { eventually, PATIENCE_MS } from "../../support/eventually.ts";
import { startFastCgi } from "../../support/fastcgi.ts";
import { BUILDS, fixtureText, type Lab, type LabSetup, startLab } from "../../support/nginx-lab.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { count, echo, type Live, testLive } from "./live-table.ts";

const EVENT = "data: 1\n\n";
const UPGRADE = ["Upgrade: websocket", "Connection: upgrade"];
/** Longer than the shortened timers of the configurations, shorter than the wait of a run. */
const SILENCE_MS = 3_500;

/** Opens a stream that is then silent. */
async function openQuiet(lab: Lab): Promise<RawClient> {
  const client = await lab.ask("/events");
  const request = await lab.backend.nextRequest();
  request.openStream();
  request.emit(EVENT);
  await client.received("data: 1");
  return client;
}

/** Whether nginx ends a silent connection; with the good configuration the wait is longer than the timer. */
async function isCut(client: RawClient): Promise<boolean> {
  return eventually(() => client.ending !== "open", "", { timeoutMs: SILENCE_MS }).then(
    () => true,
    () => false,
  );
}

async function openWebSocket(lab: Lab): Promise<RawClient> {
  const client = await lab.ask("/ws", UPGRADE);
  const request = await lab.backend.nextRequest();
  request.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
  await client.received("101");
  return client;
}

/** Responds like a server, with or without Connection: close. */
const closing: NonNullable<LabSetup["answer"]> = (request) => {
  const isAsked = request.field("Connection")?.toLowerCase() === "close";
  request.respond(200, isAsked ? { Connection: "close" } : {});
  if (isAsked) request.halfClose();
};

/** Whether nginx uses the second server of an upstream after the first request. */
const asksBoth = (lab: Lab) =>
  lab.happens(() => lab.backend.requests.length + lab.second.requests.length === 2);
async function firstAsked(lab: Lab): Promise<BackendRequest> {
  const found = await eventually(
    () => lab.backend.requests[0] ?? lab.second.requests[0],
    "a request at a backend",
  );
  return found as BackendRequest;
}

const ENTRIES: readonly Live[] = [
  { rule: "read-timeout-cuts-silence", effect: async (lab) => isCut(await openQuiet(lab)) },
  { rule: "websocket-idle-cut", effect: async (lab) => isCut(await openWebSocket(lab)) },
  {
    rule: "reload-cuts",
    effect: async (lab) => {
      const client = await openQuiet(lab);
      lab.signal("SIGHUP");
      return isCut(client);
    },
    setup: { hasMaster: true },
  },
  {
    rule: "post-sent-twice",
    effect: async (lab) => {
      await lab.ask("/events", [], "POST", "body");
      const request = await firstAsked(lab);
      await request.wholeBody();
      request.reset();
      return asksBoth(lab);
    },
    setup: { appears: true },
  },
  {
    rule: "get-sent-twice",
    effect: async (lab) => {
      await lab.ask("/events");
      await firstAsked(lab);
      return asksBoth(lab);
    },
    setup: {
      appears: true,
      edit: (text) => text.replace("proxy_read_timeout 1h;", "proxy_read_timeout 200ms;"),
    },
  },
  {
    rule: "limit-conn-counts-streams",
    effect: async (lab) => {
      for (let stream = 0; stream < 2; stream += 1) await openQuiet(lab);
      const client = await lab.ask("/events");
      return lab.comes(client, "HTTP/1.1 503");
    },
    setup: { appears: true },
  },
  {
    rule: "connections-few",
    effect: async (lab) => {
      // Two of the twenty connections are listeners, so nine streams fit.
      for (let stream = 0; stream < 9; stream += 1) await openQuiet(lab);
      const client = await lab.ask("/events");
      return lab.happens(() => client.status === 500 || client.ending !== "open");
    },
    setup: { appears: true },
  },
  {
    rule: "limit-req-delays",
    effect: async (lab) => {
      for (let request = 0; request < 3; request += 1) await lab.ask("/events");
      await eventually(() => lab.backend.requests.length === 3, "three requests");
      return lab.errorLog.includes("delaying request");
    },
    setup: { answer: echo },
  },
  {
    rule: "stream-mirrored",
    effect: async (lab) => {
      await lab.ask("/events");
      return lab.happens(() => lab.backend.requests.length === 2);
    },
    setup: { answer: echo, appears: true },
  },
  {
    rule: "keepalive-not-used",
    effect: async (lab) => {
      for (let request = 0; request < 2; request += 1) await lab.headOf("/events");
      return lab.backend.connections.length === 2;
    },
    setup: { answer: closing },
    versions: ["1.22", "1.26"],
  },
  {
    rule: "map-closes",
    effect: async (lab) => {
      for (let request = 0; request < 2; request += 1) await lab.headOf("/events");
      return lab.backend.connections.length === 2;
    },
    setup: { answer: closing },
  },
];
testLive(ENTRIES);

test.each(BUILDS)("timeout-of-another-protocol: nginx $version applies FastCGI's default", async (build) => {
  const effect = async (name: "bad" | "good") => {
    const { port, requests } = await startFastCgi();
    const text = fixtureText("timeout-of-another-protocol", name);
    // The default of 60 s, shortened.
    const http = "fastcgi_read_timeout 1s;";
    const lab = await startLab(text, { build, patienceMs: PATIENCE_MS, http, ports: { "9001": port } });
    const client = await lab.ask("/events");
    await eventually(() => requests.length > 0, "a request over FastCGI");
    requests[0]?.send("Content-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    await client.received("data: 1");
    return isCut(client);
  };
  expect({ bad: await effect("bad"), good: await effect("good") }).toEqual({ bad: true, good: false });
});

test.each(BUILDS)(
  "timeout-void: a short timer of that kind does not cut a stream, on nginx $version",
  async (build) => {
    const edit = (text: string) => text.replace("send_timeout 1h;", "send_timeout 1s; keepalive_timeout 1s;");
    const lab = await startLab(fixtureText("timeout-void", "bad"), { build, patienceMs: 0, edit });
    expect(await isCut(await openQuiet(lab))).toBe(false);
  },
);

test.each(BUILDS)("rate-limit-void: nginx $version sends three megabytes at once", async (build) => {
  const lab = await startLab(fixtureText("rate-limit-void", "bad"), { build, patienceMs: 0 });
  const client = await lab.ask("/events");
  const request = await lab.backend.nextRequest();
  request.openStream();
  // At 100k per second they would take half a minute.
  request.emit(`data: ${"x".repeat(3_000_000)}END\n\n`);
  await client.received("END");
});

test.each(BUILDS)(
  "one-failure-counts-long: nginx $version does not use a server that is back",
  async (build) => {
    const effect = async (name: "bad" | "good") => {
      let isAway = true;
      const answer: NonNullable<LabSetup["answer"]> = (request) => {
        if (isAway) request.reset();
        else request.respond();
      };
      const lab = await startLab(fixtureText("one-failure-counts-long", name), {
        build,
        patienceMs: 0,
        answer,
      });
      const first = await lab.headOf("/events");
      expect(first).toContain("502");
      isAway = false;
      await delay(50);
      return count(await lab.headOf("/events"), " 502 ") === 1;
    };
    expect({ bad: await effect("bad"), good: await effect("good") }).toEqual({ bad: true, good: false });
  },
);
