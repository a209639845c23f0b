import { expect, test } from "vitest";
import { proxiedLocations } from "../../../src/nginx/proxied.ts";
import { configurationOf } from "./configurations.ts";

const carriesOf = (text: string) => proxiedLocations(configurationOf({ "/n.conf": text }))[0];
const PASS = "proxy_pass http://127.0.0.1:9000;";

test.each([
  ["declared", `location /events { ${PASS} }`],
  ["declared", `location ~ ^/v1/chat/completions$ { ${PASS} }`],
  ["declared", `location /x { ${PASS} gzip_types text/event-stream; }`],
  ["declared", `# SSE\nlocation /x { ${PASS} }`],
  ["declared", `location /x {\n ${PASS} # the LLM answers\n}`],
  ["possible", `location /x { ${PASS} }`],
  ["possible", `# video streaming\nlocation /x { ${PASS} }`],
  ["possible", `# proxy_set_header Accept-Streaming yes;\nlocation /x { ${PASS} }`],
  ["possible", `gzip on; # SSE\nlocation /x { ${PASS} }`],
  ["possible", `location / { ${PASS}\n # SSE\n location /y { return 200; } }`],
  ["possible", `location /bloodstream { ${PASS} }`],
  ["likely", `location /x { ${PASS} proxy_buffering off; }`],
  ["likely", `location /x { ${PASS} proxy_read_timeout 24h; }`],
  ["possible", `location /x { ${PASS} fastcgi_buffering off; proxy_read_timeout 600s; }`],
  ["websocket", `location /ws { ${PASS} }`],
  ["websocket", `location /socket.io/ { ${PASS} }`],
  ["websocket", `location /live/ { ${PASS} proxy_set_header Upgrade $http_upgrade; }`],
  ["possible", `location /live/ { ${PASS} }`],
  ["websocket", `location /events { ${PASS} proxy_set_header Upgrade $http_upgrade; }`],
  ["declared", `location /sse { ${PASS} proxy_set_header Upgrade $http_upgrade; }`],
  ["possible", `location = /mcp/oauth/callback { ${PASS} }`],
  ["possible", `location / { ${PASS} proxy_set_header Upgrade $http_upgrade; proxy_read_timeout 1d; }`],
  ["possible", `location / { ${PASS} proxy_buffering on; chunked_transfer_encoding off; }`],
  ["possible", "location / { proxy_pass http://minio:9000; chunked_transfer_encoding off; }"],
  ["none", `location /events { internal; ${PASS} }`],
])("%s: %s", (carries, text) => {
  expect(carriesOf(text)?.carries).toBe(carries);
});

test("a location without a backend carries nothing", () => {
  expect(carriesOf("location /events { return 200; }")).toBeUndefined();
});

test("a backend inside an if belongs to the location", () => {
  expect(carriesOf(`location /events { if ($arg_a) { ${PASS} } }`)).toMatchObject({
    carries: "declared",
    level: { kind: "if" },
  });
});
