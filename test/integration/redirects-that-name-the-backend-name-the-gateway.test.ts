import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { startNginx } from "../support/nginx.ts";
import { BUILDS } from "../support/nginx-lab.ts";
import { rawRequest } from "../support/raw-client.ts";

const STRIPPED = { rewrite: { stripPrefix: "/app" }, websocket: true };

/** Starts a backend that names itself in Location and Refresh. */
async function startRedirecting(status = 302) {
  const url = () => `http://127.0.0.1:${backend.port}`;
  const backend = await startBackend((request) => {
    const fields = {
      Location: `${url()}/login?a=1`,
      Refresh: `0; url=${url()}/login`,
      "Content-Location": url(),
      "Set-Cookie": "a=1; Path=/",
    };
    request.respond(request.method === "HEAD" ? 302 : status, fields);
  });
  return backend;
}

const locationOf = (text: string) => /^location: (.*)\r$/im.exec(text)?.[1];
const request = (method: string, host: string) =>
  `${method} /app/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

test.each(["GET", "HEAD", "POST"])(
  "Location and Refresh of a response to %s, but no other field",
  async (method) => {
    const backend = await startRedirecting();
    const gateway = await startGatewayTo(backend.url, STRIPPED);
    const { text } = await rawRequest(gateway.port, request(method, "app.example:81"));
    expect(text).toMatch(/^Location: http:\/\/app\.example:81\/app\/login\?a=1\r$/m);
    expect(text).toMatch(/^Refresh: 0; url=http:\/\/app\.example:81\/app\/login\r$/m);
    expect(text).toContain(`Content-Location: ${backend.url}\r\n`);
  },
);

test("of a refused upgrade", async () => {
  const gateway = await startGatewayTo((await startRedirecting()).url, STRIPPED);
  const { text } = await rawRequest(gateway.port, handshake("/app/x", { Host: "app.example" }));
  expect(text).toMatch(/^HTTP\/1\.1 302 /);
  expect(locationOf(text)).toBe("http://app.example/app/login?a=1");
});

test("of a created resource, and of a streamed response", async () => {
  const gateway = await startGatewayTo((await startRedirecting(201)).url, STRIPPED);
  expect(locationOf((await rawRequest(gateway.port, request("PUT", "a"))).text)).toBe(
    "http://a/app/login?a=1",
  );
  const backend = await startBackend((asked) => {
    asked.openStream({ Location: `http://127.0.0.1:${backend.port}/login` });
    asked.endStream();
  });
  const streaming = await startGatewayTo(backend.url, STRIPPED);
  const { text } = await rawRequest(streaming.port, request("GET", "a"));
  expect(text).toMatch(/^content-type: text\/event-stream/im);
  expect(locationOf(text)).toBe("http://a/app/login");
});

test("over HTTP/2, with the client's TLS", async () => {
  const gateway = await startSecureGatewayTo((await startRedirecting()).url, STRIPPED);
  const response = (await openHttp2(gateway.port)).request({ ":path": "/app/x" });
  const { location, refresh } = await response.opened();
  expect(location).toBe(`https://${gateway.host}/app/login?a=1`);
  expect(refresh).toBe(`0; url=https://${gateway.host}/app/login`);
});

test("with the scheme and the host that a trusted proxy reports, and no other client", async () => {
  const { url } = await startRedirecting();
  const ask = async (trustedProxies: string[]) => {
    const gateway = await startGatewayTo(url, STRIPPED, { trustedProxies });
    const fields = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\nConnection: close\r\n";
    const bytes = request("GET", "a").replace("Connection: close\r\n", fields);
    return locationOf((await rawRequest(gateway.port, bytes)).text);
  };
  expect(await ask(["127.0.0.1"])).toBe("https://public.example/app/login?a=1");
  expect(await ask([])).toBe("http://a/app/login?a=1");
});

test("none with redirects: off, and none of a mock", async () => {
  const backend = await startRedirecting();
  const off = { ...STRIPPED, rewrite: { stripPrefix: "/app", redirects: "off" } };
  const gateway = await startGatewayTo(backend.url, off);
  const { text } = await rawRequest(gateway.port, request("GET", "a"));
  expect(locationOf(text)).toBe(`${backend.url}/login?a=1`);
  expect(text).toContain(`Refresh: 0; url=${backend.url}/login\r\n`);
  const mock = { status: 302, headers: { Location: "http://127.0.0.1:1/x" } };
  const mocking = await startGateway({ routes: { main: { match: { path: "/*" }, mock } } });
  expect(locationOf((await rawRequest(mocking.port, request("GET", "a"))).text)).toBe("http://127.0.0.1:1/x");
});

/** A location of nginx in front: by default it sends its own name for the gateway as Host. */
const site = (path: string, fields = "") => ({
  text: `server { listen \${PLAIN_LISTEN}; location ${path} { proxy_pass http://\${SLUICE_UPSTREAM}/; ${fields} } }`,
});

test.each(BUILDS.map(({ version, path }) => [version, path] as const))(
  "nginx %s in front leads to the same place as without sluice",
  async (_version, executable) => {
    const backend = await startRedirecting();
    const gateway = await startGatewayTo(backend.url);
    const hosted = await startGateway({
      routes: {
        main: {
          match: { path: "/*" },
          upstream: { backends: [{ url: backend.url }], hostHeader: "backend" },
        },
      },
      server: { trustedProxies: ["127.0.0.1"] },
    });
    const front = async (upstream: string, path: string, fields?: string) => {
      const nginx = await startNginx({ upstream, template: site(path, fields), executable });
      const bytes = `GET ${path}x HTTP/1.1\r\nHost: ${new URL(nginx.url).host}\r\nConnection: close\r\n\r\n`;
      const location = locationOf((await rawRequest(nginx.port, bytes)).text) ?? "";
      const { origin, pathname, search } = new URL(location, nginx.url);
      return [origin === nginx.url ? "nginx" : origin, pathname + search];
    };
    const scheme = "proxy_set_header X-Forwarded-Proto https;";
    for (const path of ["/", "/outer/"]) {
      const without = await front(`127.0.0.1:${backend.port}`, path);
      expect(without).toEqual(["nginx", `${path}login?a=1`]);
      expect(await front(gateway.host, path)).toEqual(without);
      expect(await front(hosted.host, path)).toEqual(without);
    }
    expect(await front(hosted.host, "/", scheme)).toEqual(["nginx", "/login?a=1"]);
    const prefix = `${scheme} proxy_set_header X-Forwarded-Prefix /outer;`;
    expect(await front(hosted.host, "/outer/", prefix)).toEqual(["nginx", "/outer/login?a=1"]);
  },
);

test.each(BUILDS.map(({ version, path }) => [version, path] as const))(
  "a backend nginx %s with its own port in the redirect to a folder leads back to the gateway",
  async (_version, executable) => {
    const text = "server { listen ${PLAIN_LISTEN}; location /folder/ { proxy_pass http://127.0.0.1:9; } }";
    const nginx = await startNginx({ template: { text }, upstream: "127.0.0.1:1", executable });
    const gateway = await startGatewayTo(nginx.url);
    const ask = async (port: number) =>
      locationOf((await rawRequest(port, request("GET", "app.example").replace("/app/x", "/folder"))).text);
    expect(await ask(nginx.port)).toBe(`http://app.example:${nginx.port}/folder/`);
    expect(await ask(gateway.port)).toBe("http://app.example/folder/");
    const secure = await startSecureGatewayTo(nginx.url);
    const response = (await openHttp2(secure.port)).request({
      ":path": "/folder",
      ":authority": "app.example",
    });
    expect((await response.opened()).location).toBe("https://app.example/folder/");
  },
);

test("two gateways in a row add the prefixes of both, once", async () => {
  const backend = await startRedirecting();
  const hosted = (url: string) => ({ backends: [{ url }], hostHeader: "backend" });
  const start = (prefix: string, upstream: unknown, trustedProxies: string[] = []) => {
    const rewrite = { stripPrefix: prefix, cookies: { path: "auto" } };
    const main = { match: { path: `${prefix}/*` }, upstream, rewrite };
    return startGateway({ routes: { main }, server: { trustedProxies } });
  };
  for (const trusted of [[], ["127.0.0.1"]]) {
    const inner = await start("/app", hosted(backend.url), trusted);
    const outer = await start("/outer", hosted(inner.url));
    const bytes = request("GET", "public.example").replace("/app/x", "/outer/app/x");
    const { text } = await rawRequest(outer.port, bytes);
    expect(locationOf(text)).toBe("http://public.example/outer/app/login?a=1");
    expect(text).toContain("\r\nSet-Cookie: a=1; Path=/outer/app\r\n");
  }
});
