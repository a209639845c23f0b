import http from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { sendOnSocket } from "../../src/exchange/bare-reply.ts";
import { lastChunk } from "../../src/http/chunk.ts";
import { lastResponseOn } from "../../src/http/last-response.ts";
import { renderRequest } from "../../src/http/render-head.ts";
import { sendFields } from "../../src/listen/http2-fields.ts";
import { NodeResponse } from "../../src/listen/node-response.ts";
import { exchangeHttp1 } from "../../src/probe/http1.ts";
import type { Backend } from "../../src/upstream/backend.ts";
import { requestUpgrade } from "../../src/websocket/http-proxy.ts";
import { afterTest } from "../support/after-test.ts";

// Fields come from a parser or a schema, so no request reaches these places with a line break. The checks are a
// second defence: without one, a value could end its line and add a field or a message (CWE-113).

/** Characters that end a field line for some parser. */
const BREAKS = { CRLF: "\r\n", LF: "\n", CR: "\r", NUL: "\0" };
const MARK = "Injected: 1";

/** A place that sends heads: sends a head that contains `text` and returns the written bytes, or throws. */
type Place = (text: string) => Promise<string> | string;

/** Creates two connected sockets. */
async function socketPair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const far = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const near = await accepted;
  server.close();
  far.on("error", () => {});
  near.on("error", () => {});
  afterTest(() => void [near, far].forEach((socket) => void socket.destroy()));
  return { near, far };
}

/** Reads up to the end of the connection. */
async function readAll(far: Socket): Promise<string> {
  let text = "";
  far.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
  far.on("end", () => far.end());
  await new Promise((resolve) => far.once("close", resolve));
  return text;
}

/** Runs `write` on one end, closes it, and returns the bytes at the other end; throws any error of `write`. */
async function written(write: (near: Socket) => unknown): Promise<string> {
  const { near, far } = await socketPair();
  const text = readAll(far);
  try {
    await write(near);
  } finally {
    near.end();
  }
  return await text;
}

const raw =
  (reason: (text: string) => string, fields: (text: string) => string[], trailers = (_: string) => [""]) =>
  (text: string) =>
    written((near) => {
      const response = lastResponseOn(near);
      response.writeHead(200, reason(text), fields(text));
      const [value = ""] = trailers(text);
      response.end(Buffer.from("body"), value === "" ? [] : [["X-Trailer", value]]);
    });

/** Sends a response with node:http. */
async function byNode(answer: (response: NodeResponse) => void): Promise<string> {
  let fault: unknown;
  const server = http.createServer((_request, response) => {
    try {
      answer(new NodeResponse(response));
    } catch (error) {
      fault = error;
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => void server.close());
  const far = connect((server.address() as AddressInfo).port, "127.0.0.1");
  far.on("error", () => {});
  far.write("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n");
  const text = await readAll(far);
  if (fault !== undefined) throw fault;
  return text;
}

/** Sends an upgrade to a backend that switches protocols; returns the bytes at the backend and the client. */
async function upgrade(path: string, request: string, switched: string): Promise<string> {
  const { near, far } = await socketPair();
  const seenByClient = readAll(far);
  let seenByBackend = "";
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (bytes) => {
      seenByBackend = bytes.toString("latin1");
      const accept = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
      socket.write(accept);
      setTimeout(() => socket.end(), 50);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const address = { tls: false, host: "127.0.0.1", port, socketPath: undefined };
  const backend = { address, agent: new http.Agent() } as unknown as Backend;
  const fields = ["Host", "a", "Connection", "Upgrade", "Upgrade", "websocket", "X-A", request];
  const fault = new Promise<unknown>((resolve, reject) => {
    const events = {
      switching: () => ["Upgrade", "websocket", "Connection", "Upgrade", "X-B", switched],
      open: (socket: Socket) => void socket.once("close", () => resolve(undefined)),
      fault: reject,
    };
    requestUpgrade({ client: near, backend, method: "GET", path, fields, body: [] }, events).on(
      "error",
      reject,
    );
  });
  try {
    await fault;
  } finally {
    near.destroySoon();
  }
  return seenByBackend + (await seenByClient);
}

const PLACES: Readonly<Record<string, Place>> = {
  "a field of a response": raw(
    () => "OK",
    (text) => ["X-A", text],
  ),
  "a field's name in a response": raw(
    () => "OK",
    (text) => [text.replace(/[: ]/g, "-"), "a"],
  ),
  "the reason phrase of a response": raw(
    (text) => text,
    () => [],
  ),
  "a trailer of a response": raw(
    () => "OK",
    () => [],
    (text) => [text],
  ),
  "a field of a response by node:http": (text) =>
    byNode((response) => {
      response.writeHead(200, undefined, ["X-A", text]);
      response.end();
    }),
  "the reason phrase of a response by node:http": (text) =>
    byNode((response) => {
      response.writeHead(200, text, []);
      response.end();
    }),
  "a trailer of a response by node:http": (text) =>
    byNode((response) => {
      response.writeHead(200, undefined, ["Trailer", "X-A"]);
      response.end(Buffer.from("body"), [["X-A", text]]);
    }),
  "a field of a response by HTTP/2": (text) => {
    let sent = "";
    sendFields(["X-A", text], (headers) => {
      sent = JSON.stringify(headers);
    });
    return sent;
  },
  "a reply on a bare socket": (text) =>
    written((near) => sendOnSocket(near, { status: 400, fields: [["X-A", text]], body: "" })),
  "the method of a request": (text) => renderRequest(text.replace(/[: ]/g, "-"), "/", []),
  "the target of a request": (text) => renderRequest("GET", `/${text.replaceAll(" ", "+")}`, []),
  "a field of a request": (text) => renderRequest("GET", "/", ["X-A", text]),
  "a trailer of a request": (text) => lastChunk(["X-A", text]),
  "the target of an upgrade request": (text) => upgrade(`/${text.replaceAll(" ", "+")}`, "a", "b"),
  "a field of an upgrade request": (text) => upgrade("/", text, "b"),
  "a field of a 101": (text) => upgrade("/", "a", text),
  "a field of a probe": (text) =>
    written((near) => {
      const listener = { onHead() {}, onBody() {}, onEnd() {}, onFault() {} };
      const request = { method: "GET", path: "/", host: "a", version: "1.1", body: undefined } as const;
      exchangeHttp1(near, { ...request, fields: [["X-A", text]] }, listener);
    }),
};

const marked = /Injected:?[ +-]*1/;

test.each(Object.entries(PLACES))(
  "%s sends its text unchanged if it has no line break",
  async (_name, send) => {
    expect(await send(`a${MARK}`)).toMatch(marked);
  },
);

test.each(
  Object.entries(PLACES).flatMap(([place, send]) =>
    Object.entries(BREAKS).map(([name, bytes]) => [place, name, bytes, send] as const),
  ),
)("%s with %s sends no head", async (_place, _name, bytes, send) => {
  const text = await (async () => send(`a${bytes}${MARK}`))().catch((error: unknown) => String(error));
  expect(text).not.toMatch(/^HTTP\/1|Injected.*\r\n/s);
});
