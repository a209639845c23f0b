import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerOptions } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { expect, onTestFinished, test, vi } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { certificate } from "../support/certificate.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { authority, expired, forOtherName, valid } from "../support/signed-certificates.ts";
import { openStream } from "../support/sse-client.ts";

/** Starts an https server that records the SNI names and the Host fields. */
async function startSecure(options: ServerOptions) {
  const names: (string | false | null)[] = [];
  const hosts: (string | undefined)[] = [];
  const server = createServer(options, (request, response) => {
    names.push((request.socket as TLSSocket & { servername: string | false | null }).servername);
    hosts.push(request.headers.host);
    if (request.url === "/stream") response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.end("data: secret\n\n");
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { names, hosts, port, url: `https://127.0.0.1:${port}`, byName: `https://localhost:${port}` };
}

function caFile(): string {
  const path = join(tmpdir(), `sluice-${randomBytes(6).toString("hex")}.pem`);
  writeFileSync(path, authority);
  afterTest(() => rmSync(path));
  return path;
}

const startSecureGateway = (url: string, tls: Record<string, unknown> | undefined, more = {}) =>
  startGatewayTo("", { upstream: { backends: [{ url }], ...(tls && { tls }), ...more } });

async function get({ port }: GatewayFixture, path = "/") {
  const client = openStream(port, { path });
  await client.ended();
  return { status: client.head?.status, text: client.text };
}

test("a private authority works by address and by name", async () => {
  const secure = await startSecure(valid);
  const byAddress = await startSecureGateway(secure.url, { ca: caFile() });
  expect(await get(byAddress)).toEqual({ status: 200, text: "data: secret\n\n" });
  const byName = await startSecureGateway(secure.byName, { ca: caFile() });
  expect(await get(byName, "/stream")).toEqual({ status: 200, text: ":\ndata: secret\n\n" });
  // An address is not a server name (RFC 6066 section 3), and the client's Host is not a name of the backend.
  expect(secure.names.map((name) => name || "")).toEqual(["", "localhost"]);
  expect(secure.hosts).toEqual([byAddress.host, byName.host]);
});

test("serverName replaces the url's host for SNI and verification", async () => {
  const secure = await startSecure(forOtherName);
  const gateway = await startSecureGateway(
    secure.url,
    { ca: caFile(), serverName: "other.test" },
    { hostHeader: "backend" },
  );
  expect((await get(gateway)).status).toBe(200);
  expect(secure.names).toEqual(["other.test"]);
  expect(secure.hosts).toEqual([`127.0.0.1:${secure.port}`]);
});

const REFUSED: Record<string, [server: ServerOptions, isTrusted: boolean, reason: RegExp]> = {
  expired: [expired, true, /certificate has expired/],
  "self-signed": [certificate, true, /self-signed certificate/],
  "from an unknown authority": [valid, false, /unable to verify the first certificate/],
  "for another name": [forOtherName, true, /does not match certificate's altnames/],
};

test.each(Object.entries(REFUSED))(
  "a certificate that is %s gives 502, with the reason only in the log",
  async (_name, row) => {
    const [options, isTrusted, reason] = row;
    const secure = await startSecure(options);
    const gateway = await startSecureGateway(secure.url, isTrusted ? { ca: caFile() } : undefined);
    const answer = await get(gateway);
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.text)).toMatchObject({ error_msg: "Backend unavailable." });
    expect(answer.text).not.toMatch(/certificate|127\.0\.0\.1/);
    const { err } = (await gateway.requestLine()) as unknown as { err: Record<string, string> };
    expect(err["code"]).toBe("backend_connect_failed");
    expect(err["message"]).toMatch(reason);
    expect(secure.hosts).toEqual([]);

    // Control: the certificate is the only reason for the refusal.
    const unverified = await startSecureGateway(secure.url, { verify: false });
    expect((await get(unverified)).status).toBe(200);
    expect(unverified.log).toContainEqual(
      expect.objectContaining({ level: 40, msg: "TLS: the backends' certificates are not verified" }),
    );
  },
);

test("NODE_TLS_REJECT_UNAUTHORIZED=0 does not switch the verification off", async () => {
  vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  const secure = await startSecure(certificate);
  const gateway = await startSecureGateway(secure.url, undefined);
  expect((await get(gateway)).status).toBe(502);
  // Control: Node's own client obeys it.
  expect((await fetch(secure.url)).status).toBe(200);
});

test("a backend with at most TLS 1.1 gives 502", async () => {
  const secure = await startSecure({
    ...valid,
    minVersion: "TLSv1",
    maxVersion: "TLSv1.1",
    ciphers: "DEFAULT@SECLEVEL=0",
  });
  const gateway = await startSecureGateway(secure.url, { ca: caFile() });
  expect((await get(gateway)).status).toBe(502);
  expect((await gateway.requestLine())["err"]).toMatchObject({ code: "backend_connect_failed" });
});

test("a stalled handshake gives 504 after connectTimeout", async () => {
  const sockets: { destroy(): void }[] = [];
  const mute = createTcpServer((socket) => sockets.push(socket.on("error", () => {})));
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
    mute.close();
  });
  const { port } = mute.address() as AddressInfo;
  const gateway = await startSecureGateway(`https://127.0.0.1:${port}`, undefined, {
    connectTimeout: "200ms",
  });
  expect((await get(gateway)).status).toBe(504);
  expect((await gateway.requestLine())["err"]).toMatchObject({ code: "backend_connect_timeout" });
});

test("a backend without TLS behind an https url gives 502, and with a second backend even a POST succeeds", async () => {
  const plain = createTcpServer((socket) =>
    socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"),
  );
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    plain.close();
  });
  const { port } = plain.address() as AddressInfo;
  const secure = await startSecure(valid);
  const gateway = await startGatewayTo("", {
    upstream: {
      backends: [{ url: `https://127.0.0.1:${port}` }, { url: secure.url }],
      tls: { ca: caFile() },
      balance: "roundRobin",
    },
  });
  const client = openStream(gateway.port, { method: "POST", body: "{}" });
  await client.ended();
  expect(client.head?.status).toBe(200);
});

test("a connection that closes before the response is retried elsewhere, over TLS too", async () => {
  // Session tickets after the handshake are bytes, but not part of a response.
  const cutting = createServer(valid, (request) => request.socket.destroy());
  await new Promise<void>((resolve) => cutting.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    cutting.close();
  });
  const { port } = cutting.address() as AddressInfo;
  const secure = await startSecure(valid);
  const gateway = await startGatewayTo("", {
    upstream: {
      backends: [{ url: `https://127.0.0.1:${port}` }, { url: secure.url }],
      tls: { ca: caFile() },
      balance: "roundRobin",
    },
  });
  expect((await get(gateway)).status).toBe(200);
});
