import { createServer, get } from "node:http";
import { connect } from "node:http2";
import { get as getTls } from "node:https";
import type { AddressInfo } from "node:net";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { startGateway } from "../support/gateway.ts";

const CLIENTS = 6;
const BODY_BYTES = 6 * 1024 ** 2;
const BYTES_BEFORE_A_PAUSE = 1024 ** 2;

/** A body whose every 8 bytes differ from all others and from those of every other body. */
function bodyOf(number: number): Buffer {
  const body = Buffer.allocUnsafe(BODY_BYTES);
  for (let at = 0; at < BODY_BYTES; at += 8) {
    body.writeUInt32BE(number, at);
    body.writeUInt32BE(at, at + 4);
  }
  return body;
}

/** Serves `/length/N` with a Content-Length and `/chunks/N` without. */
async function startBackendOfBodies(): Promise<number> {
  const server = createServer(({ url = "" }, response) => {
    const body = bodyOf(Number(url.split("/")[2]));
    if (url.startsWith("/length")) response.setHeader("content-length", body.length);
    response.write(body);
    response.end();
  });
  afterTest(() => void server.close());
  afterTest(() => server.closeAllConnections());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function startListeners(): Promise<Record<string, number>> {
  const upstream = `http://127.0.0.1:${await startBackendOfBodies()}`;
  const routes = { all: { match: { path: "/*" }, upstream } };
  const plain = await startGateway({ routes });
  const listen = { address: "127.0.0.1:0", tls: await certificateFiles() };
  const tls = await startGateway({ routes, server: { listen } });
  return { plain: plain.port, tls: tls.port };
}

const OPENERS: Record<string, (ports: Record<string, number>, path: string) => Promise<Readable>> = {
  "HTTP/1.1": ({ plain }, path) =>
    new Promise((resolve, reject) => {
      get({ port: plain, path, agent: false }, resolve).on("error", reject);
    }),
  "HTTP/1.1 under TLS": ({ tls }, path) =>
    new Promise((resolve, reject) => {
      getTls({ port: tls, path, agent: false, rejectUnauthorized: false }, resolve).on("error", reject);
    }),
  "HTTP/2": async ({ tls }, path) => {
    const session = connect(`https://127.0.0.1:${tls}`, { rejectUnauthorized: false });
    afterTest(() => session.destroy());
    return session.request({ ":path": path });
  },
};

/** Reads with pauses, so that bytes have to wait in the gateway. */
async function readSlowly(body: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  let sincePause = 0;
  for await (const part of body as AsyncIterable<Buffer>) {
    parts.push(part);
    sincePause += part.length;
    if (sincePause < BYTES_BEFORE_A_PAUSE) continue;
    sincePause = 0;
    await delay(5);
  }
  return Buffer.concat(parts);
}

for (const [name, open] of Object.entries(OPENERS)) {
  for (const framing of ["length", "chunks"]) {
    test(`slow downloads over ${name} (${framing}) do not get bytes of each other`, async () => {
      const ports = await startListeners();
      const downloads = Array.from({ length: CLIENTS }, async (_, number) => {
        const body = await readSlowly(await open(ports, `/${framing}/${number}`));
        return body.equals(bodyOf(number));
      });
      expect(await Promise.all(downloads)).toEqual(Array(CLIENTS).fill(true));
    });
  }
}
