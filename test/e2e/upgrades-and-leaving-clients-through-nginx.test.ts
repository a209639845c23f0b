import { describe, expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { NGINX_BUILDS, startNginx } from "../support/nginx.ts";
import { openRaw } from "../support/raw-client.ts";

/** nginx as its documents show it for upgrades, with its default buffering. */
const SITE = {
  text: `map $http_upgrade $connection_upgrade { default upgrade; '' close; }
server {
  listen \${PLAIN_LISTEN};
  location / {
    proxy_pass http://\${SLUICE_UPSTREAM};
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
  }
}`,
};

const EXEC = '{"Detach":false,"Tty":false}';
const HEAD =
  `POST /exec/1/start HTTP/1.1\r\nHost: a\r\nContent-Length: ${EXEC.length}\r\n` +
  "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

describe.each(NGINX_BUILDS)("%s", (executable) => {
  test.each([true, false])(
    "docker's upgrade opens a tunnel, with sluice behind nginx: %s",
    async (isBehind) => {
      const backend = await startBackend();
      const gateway = isBehind ? await startGatewayTo(backend.url, { upgrade: ["tcp"] }) : undefined;
      const upstream = gateway?.host ?? `127.0.0.1:${backend.port}`;
      const nginx = await startNginx({ template: SITE, upstream, executable });
      const client = await openRaw(nginx.port);
      client.send(HEAD + EXEC);
      const request = await backend.nextRequest();
      expect((await request.wholeBody()).toString()).toBe(EXEC);
      request.send("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nprompt");
      await client.received("prompt");
      client.send("input");
      await eventually(() => request.connection.received.toString().endsWith("input"), "the input");
      request.send("output");
      await client.received("promptoutput");
    },
  );

  test.each(["1.0", "1.1"] as const)(
    "a client that leaves is cancelled soon, by HTTP/%s",
    async (httpVersion) => {
      const backend = await startBackend();
      const gateway = await startGatewayTo(backend.url);
      const nginx = await startNginx({ upstream: gateway.host, httpVersion, executable });
      const client = await openRaw(nginx.port);
      client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const request = await backend.nextRequest();
      client.leave();
      await request.connection.closed;
      expect(await gateway.requestLine()).toMatchObject({ status: 499, endReason: "client_gone" });
    },
  );

  test("an early 413 reaches a client that still uploads", async () => {
    const backend = await startBackend(({ connection: { socket } }) => {
      socket.pause();
      socket.write("HTTP/1.1 413 Large\r\nContent-Length: 9\r\n\r\ntoo large", () => socket.destroy());
    });
    const gateway = await startGatewayTo(backend.url);
    const extra = "client_max_body_size 0; proxy_request_buffering off;";
    const nginx = await startNginx({ upstream: gateway.host, extra, executable });
    const client = await openRaw(nginx.port);
    const piece = Buffer.alloc(1 << 20);
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 << 20}\r\n\r\n`);
    for (let count = 0; count < 8; count++) client.send(piece);
    await client.received("too large");
    expect(client.status).toBe(413);
  });
});
