import dns from "node:dns";
import { createServer } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

type Answer = (error: Error | null, addresses?: { address: string; family: number }[]) => void;

/** Answers Node's lookups from a table that the test changes; a name without an entry gets no response. */
function hosts(table: Map<string, string | Error>): { asked: string[] } {
  const asked: string[] = [];
  const { lookup } = dns;
  const spy = vi.spyOn(dns, "lookup").mockImplementation(((
    name: string,
    options: unknown,
    answer: Answer,
  ) => {
    // Listeners look up their own address.
    if (isIP(name) !== 0) return lookup(name, options as dns.LookupAllOptions, answer as never);
    asked.push(name);
    const found = table.get(name);
    if (found instanceof Error) setImmediate(answer, found);
    else if (found !== undefined) {
      const addresses = found.split(" ").map((address) => ({ address, family: 4 }));
      setImmediate(answer, null, addresses);
    }
  }) as never);
  onTestFinished(() => spy.mockRestore());
  return { asked };
}

/** Starts servers on one port of several addresses; each responds with its own name. */
async function startOn(...addresses: string[]): Promise<number> {
  let port = 0;
  for (const address of addresses) {
    const server = createServer((_request, response) => {
      // Every request then needs a new connection.
      response.writeHead(200, { Connection: "close" }).end(address);
    });
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    port = (server.address() as AddressInfo).port;
    afterTest(() => new Promise((resolve) => server.close(() => resolve())));
  }
  return port;
}

async function get(port: number, path = "/") {
  const client = openStream(port, { path });
  await client.ended();
  return { status: client.head?.status, text: client.text };
}

test("the next connection uses the new address of a name", async () => {
  const port = await startOn("127.0.0.2", "127.0.0.3");
  const table = new Map<string, string>([["app.test", "127.0.0.2"]]);
  hosts(table);
  const gateway = await startGatewayTo(`http://app.test:${port}`);
  expect((await get(gateway.port)).text).toBe("127.0.0.2");
  table.set("app.test", "127.0.0.3");
  expect((await get(gateway.port)).text).toBe("127.0.0.3");
});

test("a reused connection needs no lookup", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const { asked } = hosts(new Map([["app.test", "127.0.0.1"]]));
  const gateway = await startGatewayTo(`http://app.test:${backend.port}`);
  for (let n = 0; n < 3; n++) expect((await get(gateway.port)).status).toBe(200);
  expect(asked).toEqual(["app.test"]);
});

test("if an address refuses, the next address of the name is tried", async () => {
  const port = await startOn("127.0.0.3");
  hosts(new Map([["app.test", "127.0.0.2 127.0.0.3"]]));
  const gateway = await startGatewayTo(`http://app.test:${port}`);
  expect((await get(gateway.port)).text).toBe("127.0.0.3");
});

test("if all addresses refuse, the log names each", async () => {
  hosts(new Map([["app.test", "127.0.0.2 127.0.0.3"]]));
  const gateway = await startGatewayTo("http://app.test:1");
  expect((await get(gateway.port)).status).toBe(502);
  const { message } = (await gateway.requestLine())["err"] as Record<string, string>;
  expect(message).toMatch(/ECONNREFUSED 127\.0\.0\.2:1; .*ECONNREFUSED 127\.0\.0\.3:1/);
});

test("an unknown name gives 502, a name that is never resolved 504, and other requests are served meanwhile", async () => {
  const port = await startOn("127.0.0.2");
  const { asked } = hosts(
    new Map<string, string | Error>([
      ["app.test", "127.0.0.2"],
      ["gone.test", Object.assign(new Error("getaddrinfo ENOTFOUND gone.test"), { code: "ENOTFOUND" })],
    ]),
  );
  const to = (path: string, host: string) => ({
    match: { path },
    upstream: { backends: [{ url: `http://${host}:${port}` }], connectTimeout: "3s" },
  });
  const gateway = await startGateway({
    routes: {
      app: to("/app", "app.test"),
      gone: to("/gone", "gone.test"),
      hangs: to("/hangs", "hangs.test"),
    },
  });
  const hanging = Array.from({ length: 20 }, () => get(gateway.port, "/hangs"));
  const before = performance.now();
  expect((await get(gateway.port, "/gone")).status).toBe(502);
  expect((await get(gateway.port, "/app")).text).toBe("127.0.0.2");
  expect(performance.now() - before).toBeLessThan(2_800);
  expect((await Promise.all(hanging)).map(({ status }) => status)).toEqual(Array(20).fill(504));
  // Twenty requests share one lookup, instead of blocking Node's four threads.
  expect(asked.filter((name) => name === "hangs.test")).toHaveLength(1);
});
