import { expect, test } from "vitest";
import { ResponseParser } from "../../../src/http/response-parser.ts";

/** Parses bytes that come in these parts, and then, if `closes`, the end of the connection. */
function parse(parts: readonly (string | Buffer)[], { isHead = false, closes = true } = {}) {
  const parser = new ResponseParser();
  parser.begin(isHead);
  const heads: unknown[] = [];
  const body: Buffer[] = [];
  for (const part of parts) {
    const bytes = Buffer.from(part as string, "latin1");
    parser.read(bytes, 0, bytes.length);
    if (parser.head !== undefined) heads.push(parser.head);
    body.push(Buffer.from(bytes.subarray(parser.payloadStart, parser.payloadEnd)));
  }
  const isEnded = parser.fault === undefined && (closes ? parser.finish() : parser.isEnded);
  const { fault, rawTrailers, isPersistent, hasSurplus } = parser;
  return {
    heads,
    head: heads[0] as { status: number; reason: string; rawHeaders: string[] } | undefined,
    body: Buffer.concat(body).toString("latin1"),
    trailers: rawTrailers,
    isEnded,
    fault,
    mayBeKept: isEnded && isPersistent && !hasSurplus,
    hasSurplus,
  };
}

const whole = (fields: string, body = "", version = "1.1", status = "200 OK") =>
  `HTTP/${version} ${status}\r\n${fields}\r\n${body}`;

const HEADS: Record<string, [bytes: string, fault: RegExp]> = {
  "HTTP/0.9": ["<html>hello</html>", /status line/],
  "another protocol": ["SSH-2.0-OpenSSH_9.2\r\n", /status line/],
  "another version": ["HTTP/2.0 200 OK\r\n\r\n", /status line/],
  "a name in lower case": ["http/1.1 200 OK\r\n\r\n", /status line/],
  "no version": ["HTTP 200 OK\r\n\r\n", /status line/],
  "status 99": ["HTTP/1.1 99 Low\r\n\r\n", /status line/],
  "status 099": ["HTTP/1.1 099 Low\r\n\r\n", /status line/],
  "status 1000": ["HTTP/1.1 1000 High\r\n\r\n", /status line/],
  "status +20": ["HTTP/1.1 +20 Odd\r\n\r\n", /status line/],
  "two spaces": ["HTTP/1.1  200 OK\r\n\r\n", /status line/],
  "a tab for a space": ["HTTP/1.1\t200 OK\r\n\r\n", /status line/],
  "an empty line first": ["\r\nHTTP/1.1 200 OK\r\n\r\n", /status line/],
  "an empty line alone": ["\r\n", /status line/],
  "a cut status line": ["HTTP/1.1 20\r\n\r\n", /status line/],
  "a bare LF": ["HTTP/1.1 200 OK\nContent-Length: 0\n\n", /byte 10/],
  "a bare LF after a field": [whole("X: a\nY: b\r\n"), /byte 10/],
  "a bare CR": [whole("X: a\rb\r\n"), /CR without LF/],
  "CR CR LF": [whole("X: a\r\r\n"), /CR without LF/],
  "a NUL": [whole("X: a\0b\r\n"), /byte 0/],
  "a VT in a name": [whole("X\v: a\r\n"), /invalid field name/],
  "a VT after a length": [whole("Content-Length: 3\v\r\n"), /control character/],
  "a FF after chunked": [whole("Transfer-Encoding: chunked\f\r\n"), /control character/],
  "a VT after close": [whole("Connection: close\v\r\n"), /control character/],
  "a DEL in Trailer": [whole("Trailer: \x7f\r\n"), /control character/],
  "a control character in Keep-Alive": [whole("Keep-Alive: timeout=5\x01\r\n"), /control character/],
  "a folded field": [whole("X: a\r\n b\r\n"), /invalid field/],
  "a folded field with a colon": [whole("X: a\r\n b: c\r\n"), /invalid field/],
  "a space before the first field": [whole(" X: a\r\n"), /invalid field/],
  "a space before the colon": [whole("X : a\r\n"), /invalid field/],
  "a tab before the colon": [whole("X\t: a\r\n"), /invalid field/],
  "no name": [whole(": a\r\n"), /invalid field/],
  "no colon": [whole("X\r\n"), /invalid field/],
  "a colon in the next line only": [whole("X\r\nY: a\r\n"), /invalid field/],
  "obs-text in a name": [whole("\xe9: a\r\n"), /invalid field/],
  "a delimiter in a name": [whole("a/b: a\r\n"), /invalid field/],
  "two Content-Lengths": [
    whole("Content-Length: 3\r\nContent-Length: 4\r\n"),
    /more than one Content-Length/,
  ],
  "the same Content-Length twice": [
    whole("Content-Length: 3\r\ncontent-length: 3\r\n"),
    /more than one Content-Length/,
  ],
  "a list of Content-Lengths": [whole("Content-Length: 3, 3\r\n"), /invalid Content-Length/],
  "Content-Length +3": [whole("Content-Length: +3\r\n"), /invalid Content-Length/],
  "Content-Length -3": [whole("Content-Length: -3\r\n"), /invalid Content-Length/],
  "Content-Length 0x3": [whole("Content-Length: 0x3\r\n"), /invalid Content-Length/],
  "Content-Length 3.0": [whole("Content-Length: 3.0\r\n"), /invalid Content-Length/],
  "Content-Length 1e1": [whole("Content-Length: 1e1\r\n"), /invalid Content-Length/],
  "Content-Length 1 0": [whole("Content-Length: 1 0\r\n"), /invalid Content-Length/],
  "an empty Content-Length": [whole("Content-Length: \r\n"), /invalid Content-Length/],
  "a Content-Length of 2^53": [whole("Content-Length: 9007199254740992\r\n"), /invalid Content-Length/],
  "a Content-Length of 2^70": [whole("Content-Length: 1180591620717411303424\r\n"), /invalid Content-Length/],
  "Content-Length, Transfer-Encoding": [
    whole("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
    /both Content-Length and Transfer-Encoding/,
  ],
  "Transfer-Encoding, Content-Length": [
    whole("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
    /both Content-Length and Transfer-Encoding/,
  ],
  "Transfer-Encoding: foo": [whole("Transfer-Encoding: foo\r\n"), /not a single chunked/],
  "Transfer-Encoding: identity": [whole("Transfer-Encoding: identity\r\n"), /not a single chunked/],
  "Transfer-Encoding: xchunked": [whole("Transfer-Encoding: xchunked\r\n"), /not a single chunked/],
  "an empty Transfer-Encoding": [whole("Transfer-Encoding:\r\n"), /not a single chunked/],
  "gzip, chunked": [whole("Transfer-Encoding: gzip, chunked\r\n"), /not a single chunked/],
  "chunked, identity": [whole("Transfer-Encoding: chunked, identity\r\n"), /not a single chunked/],
  "chunked twice": [
    whole("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    /not a single chunked/,
  ],
  "a tab after chunked": [whole("Transfer-Encoding: chunked\t\r\n"), /a tab behind/],
  "a tab after a length": [whole("Content-Length: 3 \t\r\n"), /a tab behind/],
  "a tab and a space after a length": [whole("Content-Length: 3\t \r\n"), /a tab behind/],
  "Transfer-Encoding in HTTP/1.0": [whole("Transfer-Encoding: chunked\r\n", "", "1.0"), /HTTP\/1\.0/],
  "a 101 without a request for an upgrade": [
    whole("Upgrade: x\r\n", "", "1.1", "101 Switching Protocols"),
    /upgrade/,
  ],
  "a head of 17 KiB": [whole(`X: ${"x".repeat(17 * 1024)}\r\n`), /more than 16384 bytes/],
  "2,001 fields": [whole("X: a\r\n".repeat(2_001)), /more than 2000 fields/],
  "an interim response in HTTP/1.0": [`HTTP/1.0 103 Early Hints\r\n\r\n${whole("")}`, /HTTP\/1\.0/],
  "101 interim responses": ["HTTP/1.1 103 Early Hints\r\n\r\n".repeat(101), /too many interim/],
};

test.each(Object.entries(HEADS))("refused: %s", (_name, [bytes, fault]) => {
  const seen = parse([bytes]);
  expect(seen.fault).toMatch(fault);
  expect([seen.head, seen.body, seen.isEnded]).toEqual([undefined, "", false]);
  // Byte by byte the result is the same.
  expect(parse([...bytes]).fault).toBe(seen.fault);
});

const EARLY: Record<string, string> = {
  "bytes that are not HTTP, before the first line ends": "S",
  "a version, before the status": "HTTP/2",
  "a bare LF, before the head ends": "HTTP/1.1 200 OK\n",
  "a NUL, before its line ends": "HTTP/1.1 200 OK\r\nX: \0",
  "16 KiB without an end": `HTTP/1.1 200 OK\r\nX: ${"x".repeat(16 * 1024)}`,
};

test.each(Object.entries(EARLY))("refused before the head is complete: %s", (_name, bytes) => {
  expect(parse([bytes], { closes: false }).fault).toBeDefined();
  expect(parse([...bytes], { closes: false }).fault).toBeDefined();
});

const chunked = (body: string) => whole("Transfer-Encoding: chunked\r\n", body);

const BODIES: Record<string, [bytes: string, body: string, fault: RegExp | undefined]> = {
  "no size": [chunked("\r\n"), "", /invalid chunk size/],
  "a size of +2": [chunked("+2\r\nab\r\n0\r\n\r\n"), "", /invalid chunk size/],
  "a size of -2": [chunked("-2\r\nab\r\n0\r\n\r\n"), "", /invalid chunk size/],
  "a size of 0x2": [chunked("0x2\r\nab\r\n0\r\n\r\n"), "", /invalid chunk size/],
  "a size in words": [chunked("zz\r\n"), "", /invalid chunk size/],
  "a space before the size": [chunked(" 2\r\nab\r\n"), "", /invalid chunk size/],
  "a space after the size": [chunked("2 \r\nab\r\n"), "", /invalid chunk size/],
  "a size of 17 digits": [chunked("10000000000000002\r\nab\r\n"), "", /more than 13 digits/],
  "a size that ends with LF": [chunked("2\nab\r\n0\r\n\r\n"), "", /invalid chunk size/],
  "a size that ends with CR": [chunked("2\rab\r\n"), "", /without CRLF/],
  "data that ends with LF": [chunked("2\r\nab\n0\r\n\r\n"), "ab", /without CRLF/],
  "data longer than its size": [chunked("2\r\nabc\r\n0\r\n\r\n"), "ab", /without CRLF/],
  "a space in an extension": [chunked("2; a\r\nab\r\n0\r\n\r\n"), "", /invalid chunk extensions/],
  "an LF in an extension": [chunked("2;a\nab\r\n0\r\n\r\n"), "", /invalid chunk extensions/],
  "an extension without a name": [chunked("2;\r\nab\r\n0\r\n\r\n"), "", /invalid chunk extensions/],
  "an extension of 20 KiB": [chunked(`2;${"a".repeat(20 * 1024)}\r\nab\r\n0\r\n\r\n`), "", /more than 1024/],
  "an invalid size after two chunks": [chunked("1\r\na\r\n1\r\nb\r\nzz"), "ab", /invalid chunk size/],
  "an invalid trailer": [chunked("1\r\na\r\n0\r\nX : y\r\n\r\n"), "a", /invalid field/],
  "a trailer that would frame the body": [
    chunked("1\r\na\r\n0\r\nContent-Length: 0\r\n\r\n"),
    "a",
    /among the trailers/,
  ],
  "a trailer with a bare LF": [chunked("1\r\na\r\n0\r\nX: y\n\r\n"), "a", /byte 10/],
  "trailers of 17 KiB": [
    chunked(`1\r\na\r\n0\r\nX: ${"x".repeat(17 * 1024)}\r\n\r\n`),
    "a",
    /more than 16384/,
  ],
};

test.each(Object.entries(BODIES))("refused in the body: %s", (_name, [bytes, body, fault]) => {
  const seen = parse([bytes]);
  expect(seen).toMatchObject({ body, isEnded: false, mayBeKept: false });
  expect(seen.fault).toMatch(fault ?? "");
  expect(parse([...bytes])).toMatchObject({ body, fault: seen.fault, isEnded: false });
});

interface Whole {
  readonly bytes: string;
  readonly body: string;
  readonly isHead?: boolean;
  /** False if the connection cannot serve another request. */
  readonly isKept?: boolean;
  readonly trailers?: readonly string[];
}

const ANSWERS: Record<string, Whole> = {
  counted: { bytes: whole("Content-Length: 2\r\n", "ab"), body: "ab" },
  "Content-Length with white space around it": {
    bytes: whole("Content-Length: \t2  \r\n", "ab"),
    body: "ab",
  },
  "Content-Length: 0": { bytes: whole("Content-Length: 0\r\n"), body: "" },
  "no reason phrase and no space before it": {
    bytes: "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na",
    body: "a",
  },
  chunked: { bytes: chunked("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), body: "abc" },
  "chunked, in another case": {
    bytes: whole("TRANSFER-encoding: CHUNKED\r\n", "A\r\n0123456789\r\n0\r\n\r\n"),
    body: "0123456789",
  },
  "leading zeros": { bytes: chunked("0002\r\nab\r\n000\r\n\r\n"), body: "ab" },
  extensions: { bytes: chunked('2;a;b=c;d="e;\\"f"\r\nab\r\n0;last\r\n\r\n'), body: "ab" },
  trailers: {
    bytes: chunked("1\r\na\r\n0\r\nX-Sum: 1\r\nY:2\r\n\r\n"),
    body: "a",
    trailers: ["X-Sum", "1", "Y", "2"],
  },
  "a body up to the end of the connection": { bytes: whole("X: y\r\n", "abc"), body: "abc", isKept: false },
  "HTTP/1.0": { bytes: whole("", "abc", "1.0"), body: "abc", isKept: false },
  "HTTP/1.0 with Content-Length": {
    bytes: whole("Content-Length: 1\r\n", "a", "1.0"),
    body: "a",
    isKept: false,
  },
  "HTTP/1.0 with keep-alive": {
    bytes: whole("Content-Length: 1\r\nConnection: Keep-Alive\r\n", "a", "1.0"),
    body: "a",
  },
  "Connection: close": {
    bytes: whole("Content-Length: 1\r\nConnection: x, Close\r\n", "a"),
    body: "a",
    isKept: false,
  },
  "204": { bytes: whole("", "", "1.1", "204 No Content"), body: "" },
  "304 with the length of its representation": {
    bytes: whole("Content-Length: 9\r\n", "", "1.1", "304 Not Modified"),
    body: "",
  },
  HEAD: { bytes: whole("Content-Length: 9\r\n"), body: "", isHead: true },
  "HEAD, chunked": { bytes: whole("Transfer-Encoding: chunked\r\n"), body: "", isHead: true },
  "interim responses": {
    bytes: `${"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(10)}${whole("Content-Length: 1\r\n", "a")}`,
    body: "a",
  },
};

test.each(Object.entries(ANSWERS))(
  "a response: %s",
  (_name, { bytes, body, isHead = false, isKept = true, trailers = [] }) => {
    for (const parts of [[bytes], [...bytes]]) {
      const seen = parse(parts, { isHead });
      expect(seen).toMatchObject({ body, trailers, isEnded: true, fault: undefined, mayBeKept: isKept });
      expect(seen.heads).toHaveLength(1);
    }
  },
);

test("the head keeps order, case, duplicates and bytes above ASCII", () => {
  const { head } = parse([whole("b: 1\r\nA:  \xe9 \t\r\nb: 2\r\nC:\r\n", "", "1.1", "404 Not \xe9 here")]);
  expect(head).toEqual({
    status: 404,
    reason: "Not \xe9 here",
    rawHeaders: ["b", "1", "A", "\xe9", "b", "2", "C", ""],
  });
});

test("a response whose connection ends early is incomplete", () => {
  for (const bytes of [
    "HTTP/1.1 200",
    whole("Content-Length: 3\r\n", "ab"),
    chunked(""),
    chunked("5\r\nab"),
    chunked("2\r\nab\r\n"),
    chunked("2\r\nab\r\n0\r\n"),
    chunked("2\r\nab\r\n0\r\nX: y\r\n"),
  ]) {
    expect(parse([bytes]).isEnded).toBe(false);
  }
});

test("bytes after a response end the connection, not the response", () => {
  const evil = whole("Content-Length: 4\r\n", "evil");
  for (const good of [
    whole("Content-Length: 4\r\n", "good"),
    chunked("4\r\ngood\r\n0\r\n\r\n"),
    whole("Content-Length: 0\r\n"),
  ]) {
    for (const parts of [[good + evil], [good, evil], [...good, ...evil]]) {
      const seen = parse(parts);
      expect(seen).toMatchObject({ isEnded: true, fault: undefined, hasSurplus: true, mayBeKept: false });
      expect(seen.body).not.toContain("evil");
      expect(seen.heads).toHaveLength(1);
    }
  }
});

test("one parser reads several responses in turn", () => {
  const parser = new ResponseParser();
  for (const [text, isHead] of [
    [chunked("1\r\na\r\n0\r\nX: y\r\n\r\n"), false],
    [whole("Content-Length: 5\r\n"), true],
    [whole("Content-Length: 1\r\n", "b"), false],
  ] as const) {
    parser.begin(isHead);
    const bytes = Buffer.from(text);
    parser.read(bytes, 0, bytes.length);
    expect([parser.fault, parser.isEnded, parser.isPersistent, parser.hasSurplus]).toEqual([
      undefined,
      true,
      true,
      false,
    ]);
    expect(parser.rawTrailers).toEqual(text.includes("X: y") ? ["X", "y"] : []);
  }
});

test("timeout and max of Keep-Alive are read", () => {
  const patience = (fields: string) => {
    const parser = new ResponseParser();
    parser.begin(false);
    const bytes = Buffer.from(whole(`${fields}Content-Length: 0\r\n`));
    parser.read(bytes, 0, bytes.length);
    return parser.keepAlive;
  };
  expect(patience("Keep-Alive: timeout=5\r\n")).toEqual({ timeoutMs: 5000, max: Infinity });
  expect(patience("Keep-Alive: max=100, timeout=2\r\n")).toEqual({ timeoutMs: 2000, max: 100 });
  expect(patience("Keep-Alive: soon\r\n")).toEqual({ timeoutMs: Infinity, max: Infinity });
  expect(patience("")).toBeUndefined();
});
