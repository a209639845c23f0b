import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { startGateway } from "../../support/gateway.ts";
import { BUILDS, effectsOf, fixtureText, startLab } from "../../support/nginx-lab.ts";

/** Lint's findings about nginx in front of sluice, with the real gateway. */

const ROUTES = { events: { match: { path: "/*" }, mock: { status: 200, body: "ours" } } };

test.each(BUILDS)(
  "proxy-protocol-mismatch: a listener that expects the PROXY protocol gives 502, on nginx $version",
  async (build) => {
    const expecting = await startGateway({
      routes: ROUTES,
      server: { listen: [{ address: "127.0.0.1:0", proxyProtocol: true }] },
    });
    const plain = await startGateway({ routes: ROUTES });
    const statusOf = async (name: "bad" | "good", ports: Record<string, number>) => {
      const lab = await startLab(fixtureText("proxy-protocol-mismatch", name), {
        build,
        patienceMs: 0,
        ports,
      });
      return Number((await lab.headOf("/events")).slice(9, 12));
    };
    expect(await statusOf("bad", { "9000": expecting.port })).toBe(502);
    expect(await statusOf("good", { "9001": plain.port })).toBe(200);
  },
);

for (const build of BUILDS.filter(({ version }) => version === "1.30")) {
  test("h2-needs-tls: HTTP/2 without TLS to sluice gives 502, on nginx 1.30", async () => {
    const gateway = await startGateway({ routes: ROUTES });
    const ports = { "9000": gateway.port };
    const effect = async (lab: Awaited<ReturnType<typeof startLab>>) =>
      (await lab.headOf("/events")).startsWith("HTTP/1.1 502");
    expect(await effectsOf("h2-needs-tls", build, effect, { ports })).toEqual({ bad: true, good: false });
  });
}

for (const build of BUILDS.filter(({ streamModule }) => streamModule !== undefined)) {
  test(`tcp-timeout-cuts-silence: a silent connection is closed, on nginx ${build.version}`, async () => {
    const effect = async (lab: Awaited<ReturnType<typeof startLab>>) => {
      const client = await lab.ask("/events");
      const request = await lab.backend.nextRequest();
      request.openStream();
      request.emit("data: 1\n\n");
      await client.received("data: 1");
      return eventually(() => client.ending !== "open", "", { timeoutMs: 3_500 }).then(
        () => true,
        () => false,
      );
    };
    expect(await effectsOf("tcp-timeout-cuts-silence", build, effect)).toEqual({ bad: true, good: false });
  });
}
