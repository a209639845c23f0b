import { expect, test } from "vitest";
import { AUTH_FAILED, refusalOf, startPlainBackend } from "../support/answers.ts";
import { startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";

const code = (letter: string, length = 64): string => letter.repeat(length);
const APPS = {
  shop: { key: "shop", secret: "s".repeat(16), appCodes: [code("a"), code("b", 180)] },
  other: { key: "other", secret: "o".repeat(16), appCodes: [code("c")] },
};

test("an AppCode opens the routes of its app; any other text is refused", async () => {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    apps: APPS,
    routes: {
      any: { match: { path: "/any" }, upstream: backend.url, auth: { appCode: true } },
      shop: { match: { path: "/shop" }, upstream: backend.url, auth: { appCode: true, app: ["shop"] } },
    },
  });
  const send = (path: string, value: string) =>
    fetch(`${gateway.url}${path}`, { headers: { "X-Apig-AppCode": value } });

  for (const [path, value] of [
    ["/any", code("a")],
    ["/any", code("b", 180)],
    ["/any", code("c")],
    ["/shop", code("a")],
  ] as const) {
    expect((await send(path, value)).status, `${path} ${value}`).toBe(200);
  }
  expect(await gateway.requestLine()).toMatchObject({ app: "shop" });

  for (const value of ["", "a", code("a", 63), code("a", 65), code("A"), `${code("a")}é`, code("z", 8_000)]) {
    expect(await refusalOf(await send("/any", value)), value).toEqual(AUTH_FAILED);
  }
  expect((await fetch(`${gateway.url}/any`)).status).toBe(401);
  // A known code, but of an app that may not use the route.
  expect(await refusalOf(await send("/shop", code("c")))).toMatchObject({
    status: 403,
    body: { error_code: "APIG.0304" },
  });
  expect(backend.requests).toHaveLength(4);
});

test("two AppCodes are refused, and one in the query does not count", async () => {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    apps: APPS,
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { appCode: true } } },
  });
  const field = `X-Apig-AppCode: ${code("a")}\r\n`;
  const send = async (fields: string, query = "") =>
    (
      await rawRequest(
        gateway.port,
        `GET /${query} HTTP/1.1\r\nHost: a\r\n${fields}Connection: close\r\n\r\n`,
      )
    ).status;
  expect(await send(field + field)).toBe(401);
  expect(await send("", `?X-Apig-AppCode=${code("a")}`)).toBe(401);
  expect(await send(field)).toBe(200);
  expect(backend.requests).toHaveLength(1);
});

test("the characters of an AppCode are checked at load", async () => {
  const start = (appCodes: readonly string[]) =>
    startGateway({ apps: { shop: { key: "shop", secret: "s", appCodes } }, routes: {} });
  await expect(start([code("a", 63)])).rejects.toThrow("64 to 180");
  await expect(start([code("a", 181)])).rejects.toThrow("64 to 180");
});
