import { expect, test } from "vitest";
import { importRoutes } from "../../src/nginx/import/routes.ts";
import { ASSUMED_VERSION } from "../../src/nginx/version.ts";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { startNginx } from "../support/nginx.ts";
import { openStream, type StreamRequest } from "../support/sse-client.ts";
import { configurationOf } from "../unit/nginx/configurations.ts";

/** The backends behind both. */
const site = (backend: number) => `
upstream app { server 127.0.0.1:${backend}; keepalive 4; }
server {
  listen \${PLAIN_LISTEN};
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Tenant blue;
  proxy_set_header X-Secret "";
  add_header X-Site one;
  location / { proxy_pass http://app; }
  location /api/ { proxy_pass http://app/; }
  location /v1/ { proxy_pass http://app/v2/; }
  location /old/ { rewrite ^/old/(.*)$ /new/$1 break; proxy_pass http://app; }
  location = /one { proxy_pass http://app/x/one; }
  location ~ ^/(red|green)/ { proxy_pass http://app; proxy_hide_header X-Backend; }
  location /own/ { proxy_pass http://127.0.0.1:${backend}; proxy_set_header X-Tenant red; }
  location = /ok { return 200 "fine"; }
  location = /closed { deny all; }
  location /reads/ { limit_except GET { deny all; } proxy_pass http://app; }
}`;

/** The parts of a request at the backend that must be equal with nginx and sluice. */
const seen = (request: BackendRequest) => ({
  method: request.method,
  target: request.target,
  tenant: request.fieldLines("x-tenant"),
  secret: request.fieldLines("x-secret"),
  lastEventId: request.fieldLines("last-event-id"),
});

const ASKED: readonly StreamRequest[] = [
  { path: "/a/b?c=d" },
  { path: "/api/a?b" },
  { path: "/api/a/b/" },
  { path: "/v1/x" },
  { path: "/old/a/b" },
  { path: "/one" },
  { path: "/red/a" },
  { path: "/green/a/b" },
  { path: "/blue/a" },
  { path: "/own/a" },
  { path: "/ok" },
  { path: "/closed" },
  { path: "/reads/a" },
  { path: "/api/a", method: "POST", body: "{}" },
];

test("after the import sluice sends the same requests to the backends as nginx", async () => {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    request.respond(200, { "X-Backend": "1" }, "answered");
  });
  const text = site(backend.port);
  const { routes } = importRoutes(configurationOf({ "n.conf": text }), {
    version: ASSUMED_VERSION,
    server: undefined,
  });
  const gateway = await startGateway({
    routes: Object.fromEntries(routes.map(({ name, route }) => [name, route])),
  });
  const nginx = await startNginx({ template: { text }, upstream: "unused" });

  const through = async (port: number, asked: StreamRequest) => {
    const before = requests.length;
    const headers = { Host: "app.test", "X-Secret": "s", "Last-Event-ID": "7", ...asked.headers };
    const client = openStream(port, { ...asked, headers });
    const { status } = await client.opened();
    await client.ended();
    const body = requests.length > before || status === 200 ? client.text : "";
    const reached = requests
      .slice(before)
      .map((request) => ({ ...seen(request), host: request.fieldLines("host") }));
    return {
      status,
      body,
      site: client.fieldLines("x-site"),
      backend: client.fieldLines("x-backend"),
      reached,
    };
  };

  for (const asked of ASKED) {
    const byNginx = await through(nginx.port, { ...asked });
    const bySluice = await through(gateway.port, { ...asked });
    // Without always, add_header does not apply to refusals.
    const site = byNginx.status < 400 ? byNginx.site : bySluice.site;
    expect({ asked, ...bySluice }).toEqual({ asked, ...byNginx, site });
  }
});
