import { expect, test } from "vitest";
import { ResponseParser } from "../../../src/http/response-parser.ts";
import { readWithLlhttp } from "../../support/llhttp.ts";
import { type Random, randomFrom, spoiled } from "../../support/random-bytes.ts";

/** The soak sets a million. */
const CASES = Number(process.env["FUZZ_CASES"] ?? 100_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 4);

const LINES = [
  "HTTP/1.1 200 OK",
  "HTTP/1.1 200",
  "HTTP/1.1 404 ",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 Not Modified",
  "HTTP/1.1 599 \xe9",
  "HTTP/1.2 699 WAY OUT THERE",
];
const FIELDS = [
  "Content-Type: text/event-stream",
  "X-Empty:",
  "X-Blank: \t ",
  "X-Odd: \v a\fb\x01\x7f ",
  "x: a: b ",
  "Set-Cookie: \xe9",
  "Connection: close",
  "Connection: keep-alive",
  "Keep-Alive: timeout=5",
  "Upgrade: x",
];
const ODD_FIELDS = [
  "Content-Length: 3",
  "Content-Length: 3, 3",
  "Content-Length: +3",
  "Content-Length:  3 ",
  "Content-Length: 3\v",
  "Connection: close\f",
  "X-Nul: a\0",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: gzip, chunked",
  "transfer-encoding: Chunked",
  " folded",
  "X : y",
  "X\ty: z",
  "no colon",
  ": no name",
];
const EXTENSIONS = ["", "", "", ";a", ";a=b", ';a="b c"', ";", "; a", ";a;b", " ", ';a="'];

const TRAILERS = [
  "X-Sum: 1\r\ny: \r\n",
  "X-Sum: 1\r\n",
  "Content-Length: 0\r\n",
  "Transfer-Encoding: chunked\r\n",
];

function randomResponse(random: Random): Buffer {
  const { one, chance, upTo } = random;
  const interim = chance(0.05) ? "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" : "";
  const fields = Array.from({ length: upTo(4) }, () => one(chance(0.9) ? FIELDS : ODD_FIELDS));
  let body = "x".repeat(upTo(20));
  const kind = one(["counted", "chunked", "chunked", "closed"]);
  if (kind === "counted") fields.push(`Content-Length: ${chance(0.9) ? body.length : upTo(30)}`);
  if (kind === "chunked") {
    fields.push("Transfer-Encoding: chunked");
    body = randomChunks(random);
  }
  if (chance(0.1)) body += one(["\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "x"]);
  const head = [one(LINES), ...fields].join(chance(0.98) ? "\r\n" : one(["\n", "\r", "\r\n "]));
  return Buffer.from(`${interim}${head}\r\n\r\n${body}`, "latin1");
}

function randomChunks({ one, chance, upTo }: Random): string {
  let text = "";
  for (let left = upTo(4); left > 0; left--) {
    const data = "d".repeat(1 + upTo(20));
    const size = data.length.toString(16);
    text += `${chance(0.1) ? `00${size.toUpperCase()}` : size}${chance(0.1) ? one(EXTENSIONS) : ""}\r\n${data}\r\n`;
  }
  return `${text}0\r\n${chance(0.2) ? one(TRAILERS) : ""}\r\n`;
}

/** Reads with our parser, in random parts. */
function readWithOurs(bytes: Buffer, isHead: boolean, cut: (left: number) => number) {
  const parser = new ResponseParser();
  parser.begin(isHead);
  let head: ResponseParser["head"];
  let body = "";
  // In place, in one buffer for all reads, as connections do.
  for (let at = 0; at < bytes.length; ) {
    const length = Math.max(1, cut(bytes.length - at));
    const part = Buffer.from(bytes.subarray(at, at + length));
    at += part.length;
    parser.read(part, 0, part.length);
    head ??= parser.head;
    body += part.toString("latin1", parser.payloadStart, parser.payloadEnd);
  }
  const isEnded = parser.fault === undefined && parser.finish();
  const { fault, hasSurplus, rawTrailers } = parser;
  // A head may have several faults, of which the parsers report different ones.
  return {
    head,
    body,
    isEnded,
    isFaulty: fault !== undefined,
    hasSurplus,
    trailers: isEnded ? rawTrailers : [],
  };
}

test("our parser refuses what Node's parser refuses, and reads the rest the same, in any parts", () => {
  const random = randomFrom(SEED);
  const counts = { taken: 0, refusedByBoth: 0, stricter: 0 };
  for (let n = 0; n < CASES; n++) {
    const bytes = random.chance(0.5) ? randomResponse(random) : spoiled(randomResponse(random), random);
    const isHead = random.chance(0.05);
    const label = () => JSON.stringify([SEED, n, isHead, bytes.toString("latin1")]);
    const ours = readWithOurs(bytes, isHead, (left) => left);
    const cut = readWithOurs(bytes, isHead, (left) =>
      Math.min(left, 1 + random.upTo(random.chance(0.5) ? 3 : 40)),
    );
    if (JSON.stringify(cut) !== JSON.stringify(ours)) expect(cut, label()).toEqual(ours);
    const theirs = readWithLlhttp(bytes, isHead);
    if (!ours.isEnded) {
      counts[theirs.isEnded ? "stricter" : "refusedByBoth"]++;
      // Before an incomplete body ends, both parsers have passed on the same bytes.
      if (!theirs.body.startsWith(ours.body)) expect(theirs.body, label()).toContain(ours.body);
      continue;
    }
    counts.taken++;
    const { body, trailers } = ours;
    const seen = { head: ours.head, body, trailers, isEnded: true };
    const other = {
      head: theirs.heads.at(-1),
      body: theirs.body,
      trailers: theirs.trailers,
      isEnded: theirs.isEnded,
    };
    if (JSON.stringify(seen) !== JSON.stringify(other)) expect(seen, label()).toEqual(other);
  }
  // Otherwise the test would compare nothing.
  expect(counts.taken).toBeGreaterThan(CASES / 4);
  expect(counts.refusedByBoth).toBeGreaterThan(CASES / 8);
}, 1_800_000);
