import { expect, test } from "vitest";
import { parseRequest } from "../../../src/http/request-parser.ts";

const LIMITS = { headerBytes: 200, headers: 5 };
const parse = (text: string) => parseRequest(Buffer.from(text, "latin1"), LIMITS);
const get = (...lines: string[]) => ["GET /a?b HTTP/1.1", "Host: a.test", ...lines, "", ""].join("\r\n");

test("a plain GET is read: target, fields as they were sent, and whether the connection goes on", () => {
  expect(parse(get("X-A:  b c ", "x-a:", "Connection: Keep-Alive"))).toEqual({
    method: "GET",
    url: "/a?b",
    httpVersion: "1.1",
    rawHeaders: ["Host", "a.test", "X-A", "b c", "x-a", "", "Connection", "Keep-Alive"],
    body: undefined,
    isWhole: true,
    keepsAlive: true,
  });
  expect(parse(get("connection: CLOSE"))).toMatchObject({ keepsAlive: false });
  expect(parse(get())).toMatchObject({ keepsAlive: true });
});

/** Requests that are not plain: node:http reads or refuses them. */
const LEFT: readonly [name: string, text: string][] = [
  ["HEAD", get().replace("GET", "HEAD")],
  ["POST", get().replace("GET", "POST")],
  ["a method in lower case", get().replace("GET", "get")],
  ["HTTP/1.0", get().replace("1.1", "1.0")],
  ["HTTP/1.2", get().replace("1.1", "1.2")],
  ["two spaces before the version", get().replace(" HTTP", "  HTTP")],
  ["a line end before the request", `\r\n${get()}`],
  ["absolute-form", get().replace("/a?b", "http://a.test/a?b")],
  ["authority-form", get().replace("/a?b", "a.test:80")],
  ["asterisk-form", get().replace("/a?b", "*")],
  ["a fragment", get().replace("/a?b", "/a#b")],
  ["a space in the target", get().replace("/a?b", "/a b")],
  ["a byte beyond ASCII in the target", get().replace("/a?b", "/\xe9")],
  ["DEL in the target", get().replace("/a?b", "/\x7f")],
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["a field, but no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"],
  ["two Hosts", get("Host: a.test")],
  ["Content-Length", get("Content-Length: 0")],
  ["Transfer-Encoding", get("transfer-encoding: chunked")],
  ["Expect", get("Expect: 100-continue")],
  ["Upgrade", get("Upgrade: websocket")],
  ["Proxy-Connection", get("Proxy-Connection: close")],
  ["a Connection token", get("Connection: X-Sdk-Date")],
  ["a Connection token beside close", get("Connection: close, X-Sdk-Date")],
  ["an empty Connection", get("Connection:")],
  ["Connection twice", get("Connection: close", "Connection: close")],
  ["a folded field", get("X: a", " b")],
  ["a field that begins with a tab", get("\tX: a")],
  ["a space before the colon", get("X : a")],
  ["no name", get(": a")],
  ["no colon", get("X")],
  ["an invalid name", get("X(): a")],
  ["NUL in a value", get("X: a\0b")],
  ["a control character in a value", get("X: a\x01b")],
  ["DEL in a value", get("X: a\x7fb")],
  ["a byte beyond ASCII in a value", get("X: \xe9")],
  ["a byte beyond ASCII in a name", get("X\xe9: a")],
  ["a tab in a value", get("X: a\tb")],
  ["a tab after close", get("Connection: close\t")],
  ["a bare CR", get("X: a\rY: b")],
  ["a bare LF", get("X: a\nY: b")],
  ["bare LFs instead of CRLF", get().replaceAll("\r\n", "\n")],
  ["CR CR LF", get("X: a\r")],
  ["another request after it", get() + get()],
  ["bytes after it", `${get()}x`],
  ["a line end after it", `${get()}\r\n`],
  ["no end", get().slice(0, -2)],
  ["half an end", get().slice(0, -1)],
  ["nothing", ""],
  ["an empty line alone", "\r\n\r\n"],
  ["a request line only", "GET / HTTP/1.1\r\n\r\n"],
  ["more fields than allowed", get("A: 1", "B: 2", "C: 3", "D: 4", "E: 5")],
  ["more bytes than allowed", get(`X: ${"a".repeat(200)}`)],
];

test.each(LEFT)("left to node:http: %s", (_name, text) => {
  expect(parse(text)).toBeUndefined();
});

test("a head with the maximum number of fields and bytes is read", () => {
  expect(parse(get("A: 1", "B: 2", "C: 3", "D: 4"))).toBeDefined();
  const rest = 199 - get("X: ").length;
  expect(parse(get(`X: ${"a".repeat(rest)}`))).toBeDefined();
  expect(parse(get(`X: ${"a".repeat(rest + 1)}`))).toBeUndefined();
});
