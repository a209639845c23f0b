import { createServer } from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { chunkOf } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";

/** Timeouts that are shorter than the exchange; what moves must not be bounded by them. */
const TIMEOUTS = { bodyTimeout: "400ms" };
/** Longer than the timeouts; between two parts one of the halves is silent. */
const PAUSE_MS = 150;
const PARTS = 8;

/** Starts a real server that sends each part of the request's body back as it comes. */
async function startEcho(type: string): Promise<string> {
  const server = createServer((request, response) => {
    response.writeHead(200, { "Content-Type": type });
    response.flushHeaders();
    request.on("data", (part) => response.write(part));
    request.on("end", () => response.end("end\n\n"));
    request.on("error", () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => void server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A client that sends parts of a body while it reads the response. */
interface DuplexClient {
  readonly text: string;
  send(part: string): void;
  end(): void;
}

/** `fetch` of Node, with a stream for a body and `duplex: "half"`. */
function openFetch({ url }: GatewayFixture): DuplexClient {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  let text = "";
  const read = async () => {
    const init: RequestInit = { method: "POST", body: readable, duplex: "half" };
    const response = await fetch(url, init);
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) text += decoder.decode(part as Uint8Array);
  };
  void read().catch((error: unknown) => {
    text += String(error);
  });
  return {
    get text() {
      return text;
    },
    send: (part) => void writer.write(new TextEncoder().encode(part)),
    end: () => void writer.close(),
  };
}

/** Bytes on a socket, in chunks or with a length. */
async function openSocket({ port }: GatewayFixture, length?: number): Promise<DuplexClient> {
  const client = await openRaw(port);
  const framing = length === undefined ? "Transfer-Encoding: chunked" : `Content-Length: ${length}`;
  client.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
  return {
    get text() {
      return client.text;
    },
    send: (part) => client.send(length === undefined ? chunkOf(part) : part),
    end: () => client.send(length === undefined ? "0\r\n\r\n" : ""),
  };
}

function openHttp2({ port }: GatewayFixture): DuplexClient {
  const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on("error", () => {});
  afterTest(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":path": "/" });
  let text = "";
  stream.on("data", (part) => {
    text += part;
  });
  stream.on("error", () => {});
  return {
    get text() {
      return text;
    },
    send: (part) => void stream.write(part),
    end: () => void stream.end(),
  };
}

const PART_BYTES = "data: 0\n\n".length;

const CLIENTS: Readonly<Record<string, (gateway: GatewayFixture) => DuplexClient | Promise<DuplexClient>>> = {
  "fetch with duplex: half": openFetch,
  "a chunked body": (gateway) => openSocket(gateway),
  "a body with a length": (gateway) => openSocket(gateway, PARTS * PART_BYTES),
  "HTTP/2": openHttp2,
};

describe.each(Object.keys(CLIENTS))("%s", (name) => {
  test.each(["application/octet-stream", "text/event-stream"])(
    "each part of the body is answered before the next is sent, as %s",
    async (type) => {
      const tls = name === "HTTP/2" ? { tls: await certificateFiles(), http2: true } : {};
      const upstream = { backends: [{ url: await startEcho(type) }], responseHeaderTimeout: "400ms" };
      const stream = { heartbeat: "off" };
      const listen = [{ address: "127.0.0.1:0", ...tls }];
      const gateway = await startGatewayTo("", { upstream, limits: TIMEOUTS, stream }, { listen });
      const client = await (CLIENTS[name] as (typeof CLIENTS)[string])(gateway);
      for (let part = 0; part < PARTS; part++) {
        const block = `data: ${part}\n\n`;
        client.send(block);
        await eventually(() => client.text.includes(block), `part ${part} of ${client.text}`);
        await delay(PAUSE_MS);
      }
      // Silence of both halves: the response is under way, so limits.bodyTimeout does not count.
      await delay(600);
      client.end();
      await eventually(() => client.text.includes("end"), "the end of the response");
      expect(await gateway.requestLine()).toMatchObject({ status: 200 });
    },
  );
});
