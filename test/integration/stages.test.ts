import { expect, test } from "vitest";
import { refusalOf } from "../support/answers.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

const named = (name: string) =>
  startBackend((request) => {
    if (request.field("upgrade") === undefined) request.respond(200, {}, `${name} ${request.target}`);
    else request.send(switching({ "X-Backend": name }));
  });

const start = async () => {
  const [release, other] = await Promise.all([named("release"), named("test")]);
  const gateway = await startGateway({
    routes: {
      main: {
        match: { path: "/api/*" },
        upstream: "http://#Host#:#Port#",
        rewrite: { stripPrefix: "/api", addPrefix: "/#Version#" },
        variables: { Host: "127.0.0.1", Port: release.port, Version: "v1" },
        cors: true,
        websocket: true,
        stages: {
          TEST: { variables: { Host: "127.0.0.1", Port: other.port, Version: "v2" } },
          DEVELOP: { mock: { body: "not built yet" }, variables: { Version: "v3" } },
        },
      },
      plain: { match: { path: "/plain" }, upstream: release.url },
    },
  });
  const get = (stage?: string, path = "/api/x?q=1") =>
    fetch(gateway.url + path, { headers: stage === undefined ? {} : { "x-stage": stage } });
  return { release, other, gateway, get };
};

test.each([
  [undefined, "release /v1/x?q=1"],
  ["RELEASE", "release /v1/x?q=1"],
  ["TEST", "test /v2/x?q=1"],
  ["DEVELOP", "not built yet"],
])("X-Stage: %s reaches its environment", async (stage, answer) => {
  const { gateway, get } = await start();
  expect(await (await get(stage)).text()).toBe(answer);
  expect(await gateway.requestLine()).toMatchObject({ stage: stage ?? "RELEASE", route: "main" });
});

test("the backend gets X-Stage, as from the API gateway", async () => {
  const { other, get } = await start();
  await get("TEST");
  expect(other.requests[0]?.fieldLines("x-stage")).toEqual(["TEST"]);
});

test.each([
  ["an unknown environment", "PROD", "/api/x"],
  ["an environment in another case", "test", "/api/x"],
  ["an empty X-Stage", "", "/api/x"],
  ["a name that every object has", "constructor", "/api/x"],
  ["an environment on a route without stages", "TEST", "/plain"],
])("%s gets the gateway's 404", async (_, stage, path) => {
  const { release, other, get } = await start();
  const response = await get(stage, path);
  expect(await refusalOf(response)).toEqual({
    status: 404,
    body: {
      error_code: "APIG.0101",
      error_msg: "The requested path does not exist.",
      hasId: true,
    },
  });
  expect(response.headers.get("access-control-allow-origin")).toBe(path === "/plain" ? null : "*");
  expect([...release.requests, ...other.requests]).toEqual([]);
});

test("two X-Stage fields are refused, because the backend could use the other one", async () => {
  const { gateway } = await start();
  const client = await openRaw(gateway.port);
  client.send("GET /api/x HTTP/1.1\r\nHost: a\r\nX-Stage: TEST\r\nX-Stage: RELEASE\r\n\r\n");
  await client.ended();
  expect(client.status).toBe(400);
});

test("a WebSocket reaches the environment of its X-Stage; a mock has no WebSocket", async () => {
  const { gateway } = await start();
  const client = await openRaw(gateway.port);
  client.send(handshake("/api/ws", { "X-Stage": "TEST" }));
  await client.received("\r\n\r\n");
  expect(client.text).toContain("X-Backend: test");
  const mocked = await openRaw(gateway.port);
  mocked.send(handshake("/api/ws", { "X-Stage": "DEVELOP" }));
  await mocked.received("not built yet");
  expect(mocked.status).toBe(200);
});
