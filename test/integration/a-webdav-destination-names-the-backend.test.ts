import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { startNginx } from "../support/nginx.ts";
import { BUILDS } from "../support/nginx-lab.ts";
import { rawRequest } from "../support/raw-client.ts";

const HOSTED = (url: string) => ({ upstream: { backends: [{ url }], hostHeader: "backend" } });

/** Starts nginx with its WebDAV module and one file, /files/a. */
async function startWebDav(executable?: string) {
  const text = `server { listen \${PLAIN_LISTEN}; location / {
    root dav; dav_methods PUT DELETE COPY MOVE; create_full_put_path on; } }`;
  const nginx = await startNginx({
    template: { text },
    upstream: "127.0.0.1:1",
    ...(executable && { executable }),
  });
  expect((await fetch(`${nginx.url}/files/a`, { method: "PUT", body: "text" })).status).toBe(201);
  return nginx;
}

const copy = async (port: number, path: string, destination: string): Promise<number | undefined> => {
  const lines = `Host: dav.example\r\nDestination: ${destination}\r\nConnection: close\r\n`;
  return (await rawRequest(port, `COPY ${path} HTTP/1.1\r\n${lines}\r\n`)).status;
};

test.each(BUILDS.map(({ version, path }) => [version, path] as const))(
  "nginx %s copies a file whatever scheme, host and prefix the client uses",
  async (_version, executable) => {
    const { url, port } = await startWebDav(executable);
    // The control: nginx accepts no Destination with another scheme or host.
    expect(await copy(port, "/files/a", "http://dav.example/files/direct")).toBe(204);
    expect(await copy(port, "/files/a", "https://dav.example/files/x")).toBe(400);
    const gateways = [
      await startGatewayTo(url),
      await startGatewayTo("", HOSTED(url)),
      await startGatewayTo(url, { rewrite: { stripPrefix: "/app", addPrefix: "/files" } }),
    ];
    const wanted = [
      ["/files/a", "http://dav.example/files/b0"],
      ["/files/a", "http://dav.example:80/files/b1"],
      ["/app/a", "https://dav.example/app/b2"],
      ["/app/a", "/app/b3"],
    ] as const;
    for (const [at, [path, destination]] of wanted.entries()) {
      expect(await copy(gateways[Math.min(at, 2)]?.port ?? 0, path, destination), destination).toBe(204);
      expect(await (await fetch(`${url}/files/b${at}`)).text()).toBe("text");
    }
    const secure = await startSecureGatewayTo(url);
    const move = (await openHttp2(secure.port)).request({
      ":method": "MOVE",
      ":path": "/files/a",
      destination: `https://${secure.host}/files/moved`,
    });
    expect((await move.opened())[":status"]).toBe(204);
    expect(await (await fetch(`${url}/files/moved`)).text()).toBe("text");
    const off = await startGatewayTo(url, { rewrite: { redirects: "off" } });
    expect(await copy(off.port, "/files/moved", "https://dav.example/files/y")).toBe(400);
  },
);

async function destinationFor(
  destination: string,
  { method = "MOVE", fields = "", trustedProxies = [] as string[] } = {},
): Promise<string | undefined> {
  const backend = await startBackend((request) => request.respond(204));
  const gateway = await startGatewayTo(backend.url, { rewrite: { stripPrefix: "/app" } }, { trustedProxies });
  const lines = `Host: dav.example\r\n${fields}Destination: ${destination}\r\nConnection: close\r\n`;
  await rawRequest(gateway.port, `${method} /app/a HTTP/1.1\r\n${lines}\r\n`);
  return (await backend.nextRequest()).field("destination");
}

test.each([
  "http://other.example/app/b",
  "http://dav.example/b",
  "http://dav.example/apple",
  "http://dav.example/app/../b",
  "http://dav.example:8080/app/b",
  "http://dav.example@other.example/app/b",
  "/b",
  "b",
])("a Destination that the route does not lead to is forwarded unchanged: %s", async (destination) => {
  expect(await destinationFor(destination)).toBe(destination);
});

test("a Destination keeps the bytes of its path and query", async () => {
  expect(await destinationFor("https://DAV.example/app/%7Eb%2Fc?d=%zz")).toBe(
    "http://dav.example/%7Eb%2Fc?d=%zz",
  );
});

test("a Destination with the host and the prefix of a trusted proxy names the backend", async () => {
  const fields = "X-Forwarded-Host: public.example\r\nX-Forwarded-Prefix: /outer\r\n";
  const destination = "https://public.example/outer/app/b";
  expect(await destinationFor(destination, { fields, trustedProxies: ["127.0.0.1"] })).toBe(
    "http://dav.example/b",
  );
  expect(await destinationFor(destination, { fields })).toBe(destination);
});

test("a Destination of another method is forwarded unchanged", async () => {
  const destination = "http://dav.example/app/b";
  expect(await destinationFor(destination, { method: "PUT" })).toBe(destination);
});
