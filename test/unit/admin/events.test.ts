import http from "node:http";
import { pino } from "pino";
import { expect, test } from "vitest";
import type { AdminView, View } from "../../../src/admin/admin-view.ts";
import { AdminEvents } from "../../../src/admin/events.ts";
import { viewQuery } from "../../../src/admin/streams.ts";
import { viewsIn } from "../../support/admin.ts";
import { afterTest } from "../../support/after-test.ts";
import { eventually } from "../../support/eventually.ts";
import { openStream } from "../../support/sse-client.ts";

/** A gateway whose samples come when the test says; counts the views that are made. */
async function serve() {
  const watchers = new Set<() => void>();
  const made: string[] = [];
  const parts = { at: 0, routes: [{ name: "chat" }] };
  const view = {
    samples: [],
    watch(onSample: () => void) {
      watchers.add(onSample);
      return () => watchers.delete(onSample);
    },
    async view(query: { readonly sort: string }) {
      made.push(query.sort);
      return { ...parts } as unknown as View;
    },
  } as unknown as AdminView;
  const events = new AdminEvents(view, pino({ level: "silent" }));
  const server = http.createServer((request, response) => {
    events.open(response, viewQuery(new URL(request.url ?? "", "http://a").searchParams));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as { readonly port: number };
  return {
    made,
    parts,
    watchers,
    sample: () => {
      for (const onSample of watchers) onSample();
    },
    open: (sort: string) => openStream(port, { path: `/?sort=${sort}` }),
  };
}

test("dashboards that show the same share one view for each sample", async () => {
  const { made, sample, open, parts, watchers } = await serve();
  const viewers = [open("oldest"), open("oldest"), open("oldest"), open("rate")];
  for (const viewer of viewers) await viewer.received("event: overview");
  made.length = 0;
  parts.at = 1;
  sample();
  await eventually(() => viewers.every(({ text }) => viewsIn<View>(text).at(-1)?.at === 1), "the next view");
  expect(made).toEqual(["oldest", "rate"]);
  for (const viewer of viewers) viewer.leave();
  await eventually(() => watchers.size === 0, "no more views");
});

test("after the first view only the parts that have changed are sent", async () => {
  const { sample, open, parts } = await serve();
  const viewer = open("oldest");
  await viewer.received('"routes"');
  parts.at = 7;
  sample();
  await viewer.received('data: {"at":7}\n\n');
  parts.routes = [];
  sample();
  await viewer.received('data: {"routes":[]}\n\n');
  expect(viewsIn<View>(viewer.text).at(-1)).toEqual({ at: 7, routes: [] });
});
