import { expect, test } from "vitest";
import { serverSchema } from "../../src/config/server-schema.ts";
import { startGateway } from "../support/gateway.ts";

const PATH = "/.sluice/probe?n=1";
const routes = { main: { match: { path: "/x" }, mock: { body: "x" } } };
const token = "a-token-of-enough-characters";

test.each([
  ["an address of all interfaces", "0.0.0.0:0"],
  ["a port alone, which means all interfaces", 0],
  ["one of several", ["127.0.0.1:0", "0.0.0.0:0"]],
])("a listener that other machines can reach needs a token: %s", (_, listen) => {
  const parsed = serverSchema.safeParse({ listen, admin: false, probe: true });
  expect(parsed.error?.issues.map(({ path, message }) => [path, message])).toEqual([
    [["probe"], "other machines can reach an address of listen: set adminToken in sluice.yaml"],
  ]);
  expect(serverSchema.safeParse({ listen, admin: false, probe: true, adminToken: token }).success).toBe(true);
  expect(serverSchema.safeParse({ listen, admin: false }).success).toBe(true);
});

test("on a listener that other machines can reach, the stream needs the admin token", async () => {
  const server = { listen: "0.0.0.0:0", probe: true, adminToken: token };
  const gateway = await startGateway({ routes, server });
  const url = `http://127.0.0.1:${gateway.port}${PATH}`;
  const status = async (authorization?: string) => {
    const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
    await response.text();
    return response.status;
  };
  expect(await status()).toBe(401);
  expect(await status("Bearer wrong")).toBe(401);
  expect(await status(`Basic ${token}`)).toBe(401);
  expect(await status(`Bearer ${token}`)).toBe(200);
  // Without the token the response does not explain an invalid query.
  expect((await fetch(`${url}&n=2`)).status).toBe(401);
});

test("on a loopback listener the stream needs no token", async () => {
  const gateway = await startGateway({ routes, server: { probe: true, adminToken: token } });
  const response = await fetch(gateway.url + PATH);
  expect(response.status).toBe(200);
  await response.text();
});
