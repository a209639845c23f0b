import { randomBytes } from "node:crypto";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { renderJson } from "../../src/probe/json.ts";
import { renderText } from "../../src/probe/table.ts";
import { probeUrl } from "../support/probe.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const MIB = 1024 * 1024;
const sockets = new Set<Socket>();
let port = 0;

/** Writes the results of `next` without end, as fast as the connection takes them. */
function pour(socket: Socket, next: () => Buffer): void {
  const go = () => {
    while (!socket.destroyed && socket.write(next()));
    if (!socket.destroyed) socket.once("drain", go);
  };
  go();
}

const ANSWERS: Readonly<Record<string, (socket: Socket) => void>> = {
  "/endless-head": (socket) => {
    socket.write(HEAD);
    pour(socket, () => Buffer.from("X-Field: value\r\n".repeat(1_000)));
  },
  "/endless-line": (socket) => {
    socket.write(`${HEAD}\r\ndata: `);
    pour(socket, () => Buffer.alloc(64 * 1024, "x"));
  },
  "/endless-events": (socket) => {
    socket.write(`${HEAD}\r\n`);
    pour(socket, () => Buffer.from("data: x\n\n".repeat(1_000)));
  },
  "/endless-comments": (socket) => {
    socket.write(`${HEAD}\r\n`);
    pour(socket, () => Buffer.from(":\n".repeat(4_000)));
  },
  "/bomb": (socket) => {
    socket.write(`${HEAD}Content-Encoding: gzip\r\n\r\n`);
    // A gigabyte of spaces in a megabyte: many gzip members in a row.
    const member = gzipSync(Buffer.concat([Buffer.from("data: "), Buffer.alloc(64 * MIB, " ")]));
    for (let count = 0; count < 16; count += 1) socket.write(member);
  },
  "/huge-chunk": (socket) => socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n`),
  "/redirects": (socket) =>
    socket.end(`HTTP/1.1 302 Found\r\nLocation: /redirects?${Math.random()}\r\nContent-Length: 0\r\n\r\n`),
  "/garbage": (socket) => socket.end(randomBytes(4096)),
  "/garbage-body": (socket) => socket.end(Buffer.concat([Buffer.from(`${HEAD}\r\n`), randomBytes(MIB)])),
  "/escapes": (socket) => {
    const evil = "\u009b2J\u009b31m";
    const head = `HTTP/1.1 200 ${evil}\r\nServer: ${evil}\r\nContent-Type: ${evil}\r\nX-Cache: ${evil}\r\n`;
    socket.end(Buffer.from(`${head}Content-Length: 0\r\n\r\n`, "latin1"));
  },
};

beforeAll(async () => {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (bytes: Buffer) => {
      const path = /^GET (\/[^ ?]*)/.exec(bytes.toString("latin1"))?.[1] ?? "";
      (ANSWERS[path] ?? (() => socket.destroy()))(socket);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  port = (server.address() as AddressInfo).port;
  return () => server.close();
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
});

describe("a hostile server gets a verdict and cannot exceed the probe's bounds", () => {
  test.each(Object.keys(ANSWERS))("%s", async (path) => {
    const report = await probeUrl(`http://127.0.0.1:${port}${path}`, {}, { forMs: 3_000 });
    const [reading] = report.readings;
    expect(report.connections).toBeLessThanOrEqual(2);
    expect(reading?.bytes).toBeLessThan(65 * MIB);
    expect(reading?.events.length).toBeLessThanOrEqual(20_000);
    expect(reading?.comments.length).toBeLessThanOrEqual(20_000);
    // The text has no control characters, and the JSON is valid.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal interprets them
    expect(renderText(report)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
    expect(JSON.parse(renderJson(report))).toMatchObject({ version: 1 });
  });
});
