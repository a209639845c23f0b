import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { askAdmin, metricsOf, startWithAdmin } from "../support/admin.ts";
import { afterTest } from "../support/after-test.ts";
import { requestBytes } from "../support/sse-client.ts";

const REQUESTS = 10_000;
const AT_A_TIME = 10;
/** Fewer than the gateway accepts on one connection. */
const PIPELINED = 10;

// A label that a client can choose creates a series per value, and fills the memory of sluice and of Prometheus.
test("ten thousand different paths, origins, apps and addresses do not change the number of series", async () => {
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/main/*" }, mock: { status: 200 } } },
    server: { trustedProxies: ["127.0.0.1"], log: { level: "silent" } },
  });
  const invent = (at: number) => ({
    path: `/${at % 2 === 0 ? "main" : "nowhere"}/${at}?q=${at}`,
    method: at % 5 === 0 ? "POST" : "GET",
    headers: {
      Origin: `https://o${at}.example`,
      "X-App-Id": `app${at}`,
      "X-Forwarded-For": `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`,
      "X-Request-Id": `id-${at}`,
      "User-Agent": `agent/${at}`,
      ...(at % 5 === 0 && { "Content-Length": "0" }),
    } as Record<string, string>,
  });
  const send = async (from: number, count: number) => {
    const socket = connect(gateway.port, "127.0.0.1");
    afterTest(() => {
      socket.destroy();
    });
    let answers = 0;
    socket.setEncoding("latin1").on("data", (text: string) => {
      answers += text.split("HTTP/1.1 ").length - 1;
    });
    for (let sent = 0; sent < count; sent += PIPELINED) {
      const batch = Array.from({ length: PIPELINED }, (_, at) => invent(from + sent + at));
      socket.write(batch.map((one) => requestBytes(gateway.port, one)).join(""));
      while (answers < sent + PIPELINED) await once(socket, "data");
    }
  };
  // The series of a route, a status and no route.
  await send(0, 10);
  const before = [...(await metricsOf(gateway)).keys()].filter((key) => key.startsWith("sluice_"));
  const share = REQUESTS / AT_A_TIME;
  await Promise.all(Array.from({ length: AT_A_TIME }, (_, at) => send(at * share, share)));
  const { text } = await askAdmin(gateway, "/metrics");
  const after = await metricsOf(gateway);
  expect([...after.keys()].filter((key) => key.startsWith("sluice_")).sort()).toEqual(before.sort());
  expect(text).not.toMatch(/nowhere|example|app\d|10\.0\.|agent/);
  const counted = ['route="main",status="200"', 'route="",status="404"'].map(
    (labels) => after.get(`sluice_requests_total{${labels}}`) ?? 0,
  );
  expect((counted[0] ?? 0) + (counted[1] ?? 0)).toBe(REQUESTS + 10);
});
