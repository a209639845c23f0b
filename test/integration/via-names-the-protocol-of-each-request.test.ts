import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { startNginx } from "../support/nginx.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";

const VIA_ON = { headers: { request: { via: "on" } } };

const get = (version: string, lines = ""): string =>
  `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`;

async function viaOf(bytes: string, route: Readonly<Record<string, unknown>>): Promise<string[]> {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url, { websocket: true, ...route });
  (await openRaw(gateway.port)).send(bytes);
  return (await backend.nextRequest()).fieldLines("via");
}

test.each([
  ["1.1", get("1.1"), ["1.1 sluice"]],
  ["1.0", get("1.0"), ["1.0 sluice"]],
  ["an upgrade", handshake("/"), ["1.1 sluice"]],
  [
    "a request with Via",
    get("1.1", "Via: 1.0 fred, 1.1 p.example\r\n"),
    ["1.0 fred, 1.1 p.example", "1.1 sluice"],
  ],
])(
  "with via: on, a backend sees the protocol of %s behind the earlier entries",
  async (_name, bytes, expected) => {
    expect(await viaOf(bytes, VIA_ON)).toEqual(expected);
  },
);

test("with via: on, a backend sees the protocol of an HTTP/2 request", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startSecureGatewayTo(backend.url, VIA_ON);
  (await openHttp2(gateway.port)).request({ via: "2.0 cdn" });
  expect((await backend.nextRequest()).fieldLines("via")).toEqual(["2.0 cdn", "2.0 sluice"]);
});

test.each([get("1.1"), get("1.0"), handshake("/")])("by default no Via is added to %j", async (bytes) => {
  expect(await viaOf(bytes, {})).toEqual([]);
});

test("a route that removes Via removes it with via: on too", async () => {
  expect(await viaOf(get("1.1"), { headers: { request: { via: "on", remove: ["Via"] } } })).toEqual([]);
});

test("by default a backend nginx compresses as without sluice, with via: on it does not", async () => {
  const text = `server { listen \${PLAIN_LISTEN}; gzip on; gzip_types text/plain; default_type text/plain;
    location / { return 200 "${"a".repeat(500)}"; } }`;
  const nginx = await startNginx({ template: { text }, upstream: "127.0.0.1:1" });
  const codingOf = async (port: number) =>
    /^content-encoding: (\w+)/im.exec(
      (await rawRequest(port, get("1.1", "Accept-Encoding: gzip\r\n"))).text,
    )?.[1];
  expect(await codingOf(nginx.port)).toBe("gzip");
  expect(await codingOf((await startGatewayTo(nginx.url)).port)).toBe("gzip");
  expect(await codingOf((await startGatewayTo(nginx.url, VIA_ON)).port)).toBeUndefined();
});
