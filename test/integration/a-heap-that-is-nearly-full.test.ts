import { expect, test } from "vitest";
import { samplesIn } from "../support/admin.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

/** The heap that Node itself needs plus a few MiB. */
const HEAP = "--max-old-space-size=30 --max-semi-space-size=1";
/** Far more streams than fit into that heap. */
const MOST = 6_000;
const AT_A_TIME = 100;

const statusOf = (client: StreamClient) => client.head?.status;

test("streams beyond the heap's capacity get a 503, while the process and its streams go on", async () => {
  const cwd = directoryOf({
    "config/sluice.yaml": "listen: 127.0.0.1:0\nadmin: 0\nlog: { level: warn }\n",
    "config/routes/main.yaml":
      'match: { path: "/*" }\nmock: { events: [{ data: x, after: 1s }], repeat: true }\ncors: true\n',
  });
  const sluice = startSluice(["serve", "--log-level", "info"], { cwd, env: { NODE_OPTIONS: HEAP } });
  await sluice.logged("ready");
  const port = await sluice.port();
  const admin = `http://${String((await sluice.logged("admin listening"))["address"])}`;
  const clients: StreamClient[] = [];
  const isRefused = () => clients.some((client) => statusOf(client) === 503);
  while (clients.length < MOST && !isRefused()) {
    for (let count = 0; count < AT_A_TIME; count++) {
      clients.push(openStream(port, { headers: { Accept: "text/event-stream" } }));
    }
    await eventually(() => clients.every(({ head }) => head !== undefined), "an answer to each", {
      timeoutMs: 15_000,
    });
  }
  const refused = clients.find((client) => statusOf(client) === 503);
  await refused?.ended();
  expect(JSON.parse(refused?.text ?? "{}")).toMatchObject({ error_code: "SLUICE.0014" });
  expect(Number(refused?.field("retry-after"))).toBeGreaterThan(0);
  expect(refused?.field("access-control-allow-origin")).toBe("*");
  expect((await fetch(`${admin}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${admin}/readyz`)).json()).toMatchObject({ reasons: ["out_of_memory"] });
  const samples = samplesIn(await (await fetch(`${admin}/metrics`)).text());
  expect(samples.get("sluice_out_of_memory_total")).toBeGreaterThan(0);
  await sluice.logged("heap nearly full: further streams are refused");
  const open = clients.filter((client) => statusOf(client) === 200);
  const [first] = open;
  const before = first?.body.length ?? 0;
  await eventually(() => (first?.body.length ?? 0) > before, "the next event");
  expect(open.every(({ end }) => end === undefined)).toBe(true);
  // A stream that ends makes room for another.
  for (const client of open.slice(1)) client.leave();
  const next = await eventually(async () => {
    const client = openStream(port, { headers: { Accept: "text/event-stream" } });
    return (await client.opened()).status === 200 && client;
  }, "a stream again");
  expect(next).toBeTruthy();
});
