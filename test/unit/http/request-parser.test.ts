import { expect, test } from "vitest";
import { parseRequest } from "../../../src/http/request-parser.ts";

const LIMITS = { headerBytes: 200, headers: 5 };
const parse = (text: string) => parseRequest(Buffer.from(text, "latin1"), LIMITS);
const get = (...lines: string[]) => ["GET /a?b HTTP/1.1", "Host: a.test", ...lines, "", ""].join("\r\n");

test("a plain GET is read: target, fields as they were sent, and whether it is the last", () => {
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

/** All that is not plain: it is node:http's to read, or to refuse. */
const LEFT: readonly [name: string, text: string][] = [
  ["HEAD", get().replace("GET", "HEAD")],
  ["POST", get().replace("GET", "POST")],
  ["a method in lower case", get().replace("GET", "get")],
  ["HTTP/1.0", get().replace("1.1", "1.0")],
  ["HTTP/1.2", get().replace("1.1", "1.2")],
  ["two blanks before the version", get().replace(" HTTP", "  HTTP")],
  ["a line end before the request", `\r\n${get()}`],
  ["absolute-form", get().replace("/a?b", "http://a.test/a?b")],
  ["authority-form", get().replace("/a?b", "a.test:80")],
  ["asterisk-form", get().replace("/a?b", "*")],
  ["a fragment", get().replace("/a?b", "/a#b")],
  ["a blank in the target", get().replace("/a?b", "/a b")],
  ["a byte beyond ASCII in the target", get().replace("/a?b", "/\xe9")],
  ["DEL in the target", get().replace("/a?b", "/\x7f")],
  ["no Host", "GET / HTTP/1.1\r\n\r\n"],
  ["no Host, but a field", "GET / HTTP/1.1\r\nX: y\r\n\r\n"],
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
  ["a blank before the colon", get("X : a")],
  ["no name", get(": a")],
  ["no colon", get("X")],
  ["a name that is no token", get("X(): a")],
  ["NUL in a value", get("X: a\0b")],
  ["a control character in a value", get("X: a\x01b")],
  ["DEL in a value", get("X: a\x7fb")],
  ["a byte beyond ASCII in a value", get("X: \xe9")],
  ["a byte beyond ASCII in a name", get("X\xe9: a")],
  ["a tab in a value", get("X: a\tb")],
  ["a tab behind close", get("Connection: close\t")],
  ["a bare CR", get("X: a\rY: b")],
  ["a bare LF", get("X: a\nY: b")],
  ["bare LFs all over", get().replaceAll("\r\n", "\n")],
  ["CR CR LF", get("X: a\r")],
  ["another request behind it", get() + get()],
  ["bytes behind it", `${get()}x`],
  ["a line end behind it", `${get()}\r\n`],
  ["no end", get().slice(0, -2)],
  ["half an end", get().slice(0, -1)],
  ["nothing", ""],
  ["an empty line alone", "\r\n\r\n"],
  ["a line and nothing more", "GET / HTTP/1.1\r\n\r\n"],
  ["more fields than there may be", get("A: 1", "B: 2", "C: 3", "D: 4", "E: 5")],
  ["more bytes than there may be", get(`X: ${"a".repeat(200)}`)],
];

test.each(LEFT)("left to node:http: %s", (_name, text) => {
  expect(parse(text)).toBeUndefined();
});

test("as many fields and bytes as there may be are read", () => {
  expect(parse(get("A: 1", "B: 2", "C: 3", "D: 4"))).toBeDefined();
  const rest = 199 - get("X: ").length;
  expect(parse(get(`X: ${"a".repeat(rest)}`))).toBeDefined();
  expect(parse(get(`X: ${"a".repeat(rest + 1)}`))).toBeUndefined();
});
