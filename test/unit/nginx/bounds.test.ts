import { afterAll, expect, test, vi } from "vitest";
import { fixtureOf } from "./fixtures.ts";

// A separate module instance: after some slow expressions lint skips all such expressions until its process ends.
vi.resetModules();
const { DumpFiles } = await import("../../../src/nginx/dump.ts");
const { lint } = await import("../../../src/nginx/lint/result.ts");
const { readConfiguration } = await import("../../../src/nginx/reader.ts");
afterAll(() => void vi.resetModules());

const BYTES = 1024 * 1024;
const fill = (piece: string) => piece.repeat(Math.floor(BYTES / piece.length));
const EVENTS = "location /events { proxy_pass http://a; }\n";
const inServer = (text: string) => `server {\n${text}}\n`;
const inLocation = (text: string) => inServer(`location /events { proxy_pass http://a; ${text} }\n`);

/** Texts that would take hours if any step were quadratic. */
const BIG: Readonly<Record<string, string>> = {
  "unknown directives": fill("proxy_bufering off;\n"),
  locations: inServer(fill(EVENTS)),
  "locations with comments": inServer(fill(`# SSE\n${EVENTS}`)),
  "locations with comments for lint": inServer(fill(`# sluice-ignore: x\n${EVENTS}`)),
  servers: fill(inServer(`listen 80; ${EVENTS}`)),
  "fields of a location": inLocation(fill("add_header A b; proxy_set_header A b;")),
  "blocks of a location": inLocation(fill("if ($a) { add_header A b; } ")),
  "inherited fields": inServer(
    fill("add_header A b; ").slice(0, BYTES / 2) + fill(EVENTS).slice(0, EVENTS.length * 10_000),
  ),
  upstreams: `${fill("upstream a { server b; server c; }\n")}${inServer(EVENTS.repeat(10_000))}`,
  maps: `${fill("map $a $b { '' close; }\n")}${inServer(EVENTS.repeat(10_000))}`,
  "slow expressions": inServer(`${fill("location ~ (a+)+$ { proxy_pass http://a; }\n")}${EVENTS}`),
};

test.each(Object.entries(BIG))("lint finishes a megabyte of %s", async (_, text) => {
  const { options } = await fixtureOf("response-buffered", "bad");
  const files = new DumpFiles(new Map([["/n.conf", text]]));
  const streams = ["/events", `/${"a".repeat(40)}!`];
  const { findings } = lint(readConfiguration("/n.conf", files), { ...options, streams });
  expect(findings.length).toBeLessThanOrEqual(10_000);
});
