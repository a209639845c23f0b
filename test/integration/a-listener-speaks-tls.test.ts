import { createHash, X509Certificate } from "node:crypto";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { type CertificateFiles, certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { openHttp2 } from "../support/http2-client.ts";
import { one, renewed, wild } from "../support/server-certificates.ts";

const GET = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";

const fingerprint = ({ cert }: { readonly cert: string }) =>
  createHash("sha256").update(new X509Certificate(cert).raw).digest("hex");

/** Opens a connection and waits for its handshake. */
async function handshake(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  socket.on("error", () => {});
  afterTest(() => void socket.destroy());
  let isSecure = false;
  socket.once("secureConnect", () => {
    isSecure = true;
  });
  await eventually(() => isSecure || socket.destroyed, "the end of a handshake");
  return socket;
}

async function certificateFor(port: number, options: ConnectionOptions = {}): Promise<string> {
  const { raw } = (await handshake(port, options)).getPeerCertificate();
  return createHash("sha256").update(raw).digest("hex");
}

async function startWith(
  tls: CertificateFiles | readonly CertificateFiles[],
  listen: Readonly<Record<string, unknown>> = {},
) {
  const backend = await startBackend((request) => {
    if (request.target === "/stream") request.openStream();
    else request.respond(200, {}, "hello");
  });
  const setup = (next: Readonly<Record<string, unknown>>) => ({
    routes: { main: { match: { path: "/*" }, upstream: backend.url } },
    server: { listen: { address: "127.0.0.1:0", ...next } },
  });
  const gateway = await startGateway(setup({ tls, ...listen }));
  const reload = (next: Readonly<Record<string, unknown>>) => gateway.reload(setup(next));
  return { backend, gateway, reload };
}

test("HTTP/1.1 over TLS is served, and the backend gets X-Forwarded-Proto: https", async () => {
  const { backend, gateway } = await startWith(await certificateFiles());
  const socket = await handshake(gateway.port);
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes;
  });
  socket.write(GET + GET);
  await eventually(() => text.split("hello").length === 3, "two answers");
  expect(text).toMatch(/^HTTP\/1\.1 200 /);
  expect(backend.requests[0]?.field("x-forwarded-proto")).toBe("https");
  expect(backend.requests[0]?.field("x-forwarded-for")).toBe("127.0.0.1");
});

test("a client that offers HTTP/2 gets it, whatever its preference, if HTTP/2 is on", async () => {
  const { gateway, reload } = await startWith(await certificateFiles());
  const chosen = async (offered: string[] | undefined) =>
    (await handshake(gateway.port, offered === undefined ? {} : { ALPNProtocols: offered })).alpnProtocol;
  expect(await chosen(["http/1.1", "h2"])).toBe("h2");
  expect(await chosen(["http/1.1"])).toBe("http/1.1");
  expect(await chosen(undefined)).toBe(false);
  await reload({ tls: await certificateFiles(), http2: false });
  expect(await chosen(["h2", "http/1.1"])).toBe("http/1.1");
  expect((await handshake(gateway.port, { ALPNProtocols: ["h2"] })).destroyed).toBe(true);
});

test("of several certificates a client gets that for its SNI name, else the first", async () => {
  const files = await Promise.all([one, wild].map((certificate) => certificateFiles(certificate)));
  const { gateway } = await startWith(files);
  const forName = (servername: string) => certificateFor(gateway.port, { servername });
  expect(await forName("one.test")).toBe(fingerprint(one));
  expect(await forName("a.wild.test")).toBe(fingerprint(wild));
  expect(await forName("A.WILD.test")).toBe(fingerprint(wild));
  expect(await forName("a.b.wild.test")).toBe(fingerprint(one));
  expect(await forName("wild.test")).toBe(fingerprint(one));
  expect(await forName("unknown.test")).toBe(fingerprint(one));
  expect(await certificateFor(gateway.port)).toBe(fingerprint(one));
});

async function openOne(gateway: GatewayFixture) {
  const client = await openHttp2(gateway.port);
  const stream = client.request({ ":path": "/stream" });
  await stream.received(":\n");
  return { client, stream };
}

test("new connections get a renewed certificate, and streams on old connections continue", async () => {
  const { backend, gateway, reload } = await startWith(await certificateFiles(one));
  const { client, stream } = await openOne(gateway);
  await reload({ tls: await certificateFiles(renewed) });
  expect(await certificateFor(gateway.port)).toBe(fingerprint(renewed));
  expect(await certificateFor(gateway.port, { servername: "one.test" })).toBe(fingerprint(renewed));
  backend.requests[0]?.emit("data: on\n\n");
  await stream.received("data: on\n\n");
  expect((await client.request().opened())[":status"]).toBe(200);
});

test("an invalid certificate does not replace the old one, and all streams continue", async () => {
  const { backend, gateway, reload } = await startWith(await certificateFiles(one));
  const { stream } = await openOne(gateway);
  const wrong = await certificateFiles({ cert: "none", key: one.key });
  expect(() => reload({ tls: wrong })).toThrow(/expected a certificate in PEM form/);
  expect(await certificateFor(gateway.port)).toBe(fingerprint(one));
  backend.requests[0]?.emit("data: on\n\n");
  await stream.received("data: on\n\n");
});

test("a reload can switch TLS on and off for an address", async () => {
  const files = await certificateFiles(one);
  const { gateway, reload } = await startWith(files);
  const { stream, client } = await openOne(gateway);
  await reload({});
  expect(await (await fetch(`http://127.0.0.1:${gateway.port}/`)).text()).toBe("hello");
  await reload({ tls: files });
  expect(await certificateFor(gateway.port)).toBe(fingerprint(one));
  expect(stream.isClosed).toBe(false);
  expect((await client.request().opened())[":status"]).toBe(200);
});

test("a TLS session is resumed, even after a reload with the same certificate", async () => {
  const files = await certificateFiles(one);
  const { gateway, reload } = await startWith(files);
  const first = await handshake(gateway.port, { maxVersion: "TLSv1.2" });
  const session = first.getSession();
  await reload({ tls: files });
  const options = { maxVersion: "TLSv1.2", ...(session && { session }) } as const;
  expect((await handshake(gateway.port, options)).isSessionReused()).toBe(true);
});
