import { expect, test } from "vitest";
import { parseRequest } from "../../../src/http/request-parser.ts";
import { readRequestsWithLlhttp } from "../../support/llhttp.ts";
import { randomFrom } from "../../support/random-bytes.ts";
import { oddRequest } from "../../support/random-requests.ts";

/** The soak sets a million. */
const CASES = Number(process.env["FUZZ_CASES"] ?? 50_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 11);

const LIMITS = { headerBytes: 16 * 1024, headers: 100 };

test(`${CASES} heads: each head that parseRequest accepts, llhttp accepts in strict mode, with the same result`, () => {
  const random = randomFrom(SEED);
  const counts = { taken: 0, leftToNode: 0, refusedByBoth: 0 };
  for (let n = 0; n < CASES; n++) {
    const bytes = oddRequest(random);
    const label = () => `seed ${SEED}, case ${n}: ${JSON.stringify(bytes.toString("latin1"))}`;
    const before = Buffer.from(bytes);
    const ours = parseRequest(bytes, LIMITS);
    const theirs = readRequestsWithLlhttp(before);
    if (!bytes.equals(before)) expect.fail(`the bytes were changed; ${label()}`);
    if (ours === undefined) {
      counts[theirs === undefined ? "refusedByBoth" : "leftToNode"]++;
      continue;
    }
    counts.taken++;
    const hosts = ours.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host");
    const seen = {
      isGet: ours.method === "GET",
      url: ours.url,
      version: ours.httpVersion,
      rawHeaders: ours.rawHeaders,
      isUpgrade: false,
      keepsAlive: ours.keepsAlive,
      bodyBytes: 0,
      isComplete: true,
      // Besides the common result: what the grammar of the fast path promises.
      hosts: hosts.length,
      isPath: ours.url.startsWith("/"),
    };
    const [first, ...more] = theirs ?? [];
    const other = { ...first, hosts: 1, isPath: true };
    if (more.length > 0 || JSON.stringify(seen) !== JSON.stringify(other)) {
      expect([seen, ...more], label()).toEqual([other]);
    }
  }
  // Otherwise the test would compare nothing.
  expect(counts.taken).toBeGreaterThan(CASES / 10);
  expect(counts.refusedByBoth).toBeGreaterThan(CASES / 10);
  expect(counts.leftToNode).toBeGreaterThan(CASES / 20);
}, 1_800_000);
