import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewaySetup, startGateway } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

const saying = (body: string, path = "/*") => ({ match: { path }, mock: { status: 200, body } });

async function ask(port: number): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/`)).text();
}

async function takenPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("if one of two addresses is in use, routes and listeners are not changed", async () => {
  const gateway = await startGateway({ routes: { main: saying("before") } });
  const taken = await takenPort();
  const listen = ["127.0.0.1:0", "127.0.0.1:0", `127.0.0.1:${taken}`];
  const refused = gateway.reload({ routes: { main: saying("after") }, server: { listen } });
  await expect(refused).rejects.toMatchObject({ code: "EADDRINUSE" });
  expect(await ask(gateway.port)).toBe("before");
  expect(gateway.log.filter(({ msg }) => msg === "reloaded")).toEqual([]);
});

test("if keys cannot be fetched, routes, listeners and connections are not changed", async () => {
  const backend = await startBackend((request) => request.openStream());
  const upstream = { backends: [{ url: backend.url }] };
  const gateway = await startGateway({ routes: { main: { match: { path: "/*" }, upstream } } });
  const client = openStream(gateway.port);
  await client.opened();
  const jwt = { issuer: "i", audience: "a", jwks: "/nowhere/keys.json" };
  const next: GatewaySetup = {
    routes: { main: saying("after", "/other"), secured: { ...saying("x", "/x"), auth: { jwt } } },
    server: { listen: ["127.0.0.1:0", "127.0.0.1:0"] },
  };
  await expect(gateway.reload(next)).rejects.toMatchObject({ name: "ConfigError" });
  (await backend.nextRequest()).emit("data: still\n\n");
  await client.received("data: still");
  const again = openStream(gateway.port);
  expect((await again.opened()).status).toBe(200);
});

test("an address that stays keeps its socket, the streams of a removed one go on, and a new one serves", async () => {
  const backend = await startBackend();
  const route = { match: { path: "/*" }, upstream: backend.url };
  const stays = "127.0.0.1:0";
  const goes = "127.0.0.2:0";
  const gateway = await startGateway({ routes: { main: route }, server: { listen: [stays, goes] } });
  const leavingPort = Number(/\d+$/.exec(gateway.addresses[1] ?? "")?.[0]);
  const leaving = openStream(leavingPort, { host: "127.0.0.2" });
  const request = await backend.nextRequest();
  request.openStream();
  await leaving.opened();
  await gateway.reload({ routes: { main: route }, server: { listen: [stays, "127.0.0.3:0"] } });
  const reloaded = await eventually(() => gateway.log.find(({ msg }) => msg === "reloaded"), "its line");
  const listening = reloaded?.["listening"] as readonly string[];
  expect(listening[0]).toBe(gateway.addresses[0]);
  const added = openStream(Number(/\d+$/.exec(listening[1] ?? "")?.[0]), { host: "127.0.0.3" });
  (await backend.nextRequest()).openStream();
  expect((await added.opened()).status).toBe(200);
  request.emit("data: on\n\n");
  await leaving.received("data: on");
  const refused = openStream(leavingPort, { host: "127.0.0.2" });
  expect(await refused.ended()).toBe("reset");
});

test("settings of the server apply from the next request on, without a new listener", async () => {
  const routes = { main: saying("ok") };
  const gateway = await startGateway({ routes });
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`X-${at}`, "x"]));
  const before = openStream(gateway.port, { headers: many });
  expect((await before.opened()).status).toBe(200);
  await gateway.reload({ routes, server: { limits: { headers: 10 } } });
  const after = openStream(gateway.port, { headers: many });
  expect((await after.opened()).status).toBe(431);
  await gateway.reload({ routes, server: { limits: { headerBytes: "1k" } } });
  const long = openStream(gateway.port, { headers: { "X-Long": "x".repeat(2000) } });
  expect((await long.opened()).status).toBe(431);
});

test("simultaneous reloads run one after the other, and the last one is in force", async () => {
  const gateway = await startGateway({ routes: { main: saying("0") } });
  const reloads = Array.from({ length: 20 }, (_, at) =>
    gateway.reload({ routes: { main: saying(String(at + 1)) } }),
  );
  await Promise.all(reloads);
  expect(await ask(gateway.port)).toBe("20");
});
