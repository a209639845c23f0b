import { expect, test } from "vitest";
import { type Backend, startBackend } from "../support/backend.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";

const answering = (name: string) =>
  startBackend((request) => request.respond(200, { "X-Backend": name }, "ok"));

async function startTwoRoutes(): Promise<{ gateway: GatewayFixture; admin: Backend; rest: Backend }> {
  const [admin, rest] = [await answering("admin"), await answering("rest")];
  const gateway = await startGateway({
    routes: {
      admin: { match: { path: "/admin/*" }, upstream: admin.url },
      rest: { match: { path: "/*" }, upstream: rest.url },
    },
  });
  return { gateway, admin, rest };
}

const ask = (gateway: GatewayFixture, target: string) =>
  rawRequest(gateway.port, `GET ${target} HTTP/1.1\r\nHost: ${gateway.host}\r\n\r\n`, {
    until: "\r\n\r\nok",
  });

// A backend decodes these, so a route that guards /admin/ must match them too.
test.each([
  "/admin/x",
  "/%61dmin/x",
  "/%61%64%6D%69%6e/x",
  "/adm%69n/x",
  "/admin",
  "/%61dmin",
  "//admin/x",
  "///%61dmin///x//",
  "//admin",
  "/admin/;v=1/x",
])("%s matches the route /admin/* and is forwarded unchanged", async (target) => {
  const { gateway, admin, rest } = await startTwoRoutes();
  const response = await ask(gateway, target);
  expect(response.text).toContain("X-Backend: admin");
  expect(admin.requests.map((request) => request.target)).toEqual([target]);
  expect(rest.requests).toEqual([]);
});

test.each([
  "/admin%2fx",
  "/admin%2Fx",
  "/admin%252fx",
  "/administrator",
  "/Admin/x",
  "/x//admin/x",
  "/admin;v=1/x",
  "/x?/admin/",
])("%s does not match /admin/*", async (target) => {
  const { gateway, admin, rest } = await startTwoRoutes();
  const response = await ask(gateway, target);
  expect(response.text).toContain("X-Backend: rest");
  expect(rest.requests.map((request) => request.target)).toEqual([target]);
  expect(admin.requests).toEqual([]);
});

test.each(["/admin%2e%2e/x", "/x/..%2fadmin/x", "/x/%2e%2e/admin/x", "/x%5c..%5cadmin/x"])(
  "%s is either refused or read the same by the gateway and the backend",
  async (target) => {
    const { gateway, admin, rest } = await startTwoRoutes();
    const response = await ask(gateway, target);
    const reached = [...admin.requests, ...rest.requests].map((request) => request.target);
    expect(reached).toEqual(response.status === 400 ? [] : [target]);
    if (/\/(%2e|\.)/i.test(target) || target.includes("%5c")) expect(response.status).toBe(400);
  },
);
