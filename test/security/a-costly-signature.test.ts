import { createHash, createHmac } from "node:crypto";
import { expect, test, vi } from "vitest";
import { createAppVerifier } from "../../src/auth/app.ts";
import { ProxyError } from "../../src/base/errors.ts";
import { BodyBudget } from "../../src/exchange/body-budget.ts";
import { MemorySignatures } from "../../src/limits/memory-signatures.ts";
import { startPlainBackend } from "../support/answers.ts";
import { rawSigned, WEB_CLIENT } from "../support/app-signer.ts";
import { fakeExchange } from "../support/fake-exchange.ts";
import { startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";

/** The bytes that `limits.headerBytes` admits by default, less the fields of a signed request. */
const QUERY_BYTES = 16 * 1024 - 420;
const MAX_PARAMETERS = 256;

const verifier = createAppVerifier(
  { apps: ["web-client"], replay: "allow" },
  {
    apps: [{ name: "web-client", key: WEB_CLIENT.key, secret: [WEB_CLIENT.secret], appCodes: [] }],
    signatures: new MemorySignatures(10),
    maxBodyBytes: 0,
    maxParameters: MAX_PARAMETERS,
    bodies: new BodyBudget(0),
  },
);

/** The work of a check that grows with the request: bytes hashed, signatures made, parameters compared. */
interface Work {
  hashedBytes: number;
  signatures: number;
  sorts: number;
  comparisons: number;
}

/** Counts the work of checking one request, whatever its result. */
async function workOf(query: string, key = "nobody"): Promise<Work & { code: string }> {
  const work = { hashedBytes: 0, signatures: 0, sorts: 0, comparisons: 0 };
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const signature = "0".repeat(64);
  const exchange = fakeExchange(
    [
      ["X-Sdk-Date", date],
      [
        "Authorization",
        `SDK-HMAC-SHA256 Access=${key}, SignedHeaders=host;x-sdk-date, Signature=${signature}`,
      ],
    ].flat(),
    query,
  );
  const stop = countWork(work);
  try {
    await verifier.verify(exchange);
    return { ...work, code: "verified" };
  } catch (error) {
    if (error instanceof ProxyError) return { ...work, code: error.code };
    throw error;
  } finally {
    stop();
  }
}

/** Counts in the functions of Node itself, so that no code can avoid being counted. */
function countWork(work: Work): () => void {
  const hash = Object.getPrototypeOf(createHash("sha256")) as { update(data: string | Buffer): unknown };
  const hmac = Object.getPrototypeOf(createHmac("sha256", "")) as typeof hash & { digest(): unknown };
  const { update } = hash;
  const { update: updateHmac, digest } = hmac;
  const spies = [
    vi.spyOn(hash, "update").mockImplementation(function (this: unknown, ...args) {
      work.hashedBytes += args[0].length;
      return update.apply(this, args);
    }),
    vi.spyOn(hmac, "update").mockImplementation(function (this: unknown, ...args) {
      work.hashedBytes += args[0].length;
      return updateHmac.apply(this, args);
    }),
    vi.spyOn(hmac, "digest").mockImplementation(function (this: unknown, ...args) {
      work.signatures++;
      return digest.apply(this, args);
    }),
    ...(["sort", "toSorted"] as const).map((name) => {
      const own = Array.prototype[name];
      return vi.spyOn(Array.prototype, name).mockImplementation(function (this: unknown[], compare) {
        work.sorts++;
        // Without a comparison function, counts as many comparisons as a sort of n log n makes.
        if (compare === undefined) work.comparisons += this.length * Math.log2(Math.max(2, this.length));
        return own.call(this, compare && ((a, b) => counted(compare(a, b))));
      });
    }),
  ];
  const counted = (order: number) => {
    work.comparisons++;
    return order;
  };
  return () => {
    for (const spy of spies) spy.mockRestore();
  };
}

const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return seed >>> 16;
};

/**
 * Returns a query filled with parameters of one length: of two characters, or with letters that sort in two orders.
 */
function queryOf(count: number, bytes = QUERY_BYTES): string {
  const draw = random(7);
  const length = Math.floor(bytes / count) - 1;
  const names = Array.from({ length: count }, () => {
    const name = (draw() % 1296).toString(36).padStart(2, "0");
    return length < 8 ? name : `${name}%F0%9F%98%80%EE%80%80`.padEnd(length, "%ff").slice(0, length);
  });
  return `?${names.join("&").replaceAll(/%.?(?=&|$)/g, "x")}`;
}

const APPENDED = "&lastEventId=1";

test("control: the counters count the work of an ordinary request", async () => {
  expect(await workOf("?limit=2&marker=x", WEB_CLIENT.key)).toMatchObject({
    code: "auth_failed",
    signatures: 2,
    hashedBytes: expect.any(Number),
  });
  expect((await workOf("?b=2&a=1")).comparisons).toBeGreaterThan(1);
});

test("a query with too many parameters is refused before any comparison or hash", async () => {
  const nothing = { hashedBytes: 0, signatures: 0, sorts: 0, comparisons: 0 };
  for (const query of [queryOf(5_000), queryOf(5_000) + APPENDED, queryOf(MAX_PARAMETERS) + APPENDED]) {
    expect(await workOf(query)).toEqual({ code: "too_many_parameters", ...nothing });
  }
  expect((await workOf(queryOf(MAX_PARAMETERS))).code).toBe("auth_failed");
});

test("the worst query sorts each order once and hashes each form once, with any number of secrets", async () => {
  for (const count of [1, 3, 20, MAX_PARAMETERS - 1]) {
    const query = queryOf(count, QUERY_BYTES - APPENDED.length) + APPENDED;
    const { code, ...work } = await workOf(query, WEB_CLIENT.key);
    expect(code, `${count}`).toBe("auth_failed");
    // The orders by bytes, by UTF-16 units and of 2018; none for the text of a refusal that the client may not read.
    expect(work.sorts).toBeLessThanOrEqual(3);
    const parameters = count + 1;
    expect(work.comparisons).toBeLessThanOrEqual(3 * parameters * Math.ceil(Math.log2(parameters) + 1));
    // With and without the appended parameter, in three forms, with two secrets.
    expect(work.signatures).toBeLessThanOrEqual(12);
    // Encoding may turn each byte into three.
    expect(work.hashedBytes).toBeLessThanOrEqual(6 * (3 * QUERY_BYTES + 500) + 12 * 200);
  }
});

test("four times the bytes cost four times the work, not sixteen times", async () => {
  const worst = async (bytes: number) => workOf(queryOf(MAX_PARAMETERS - 1, bytes) + APPENDED);
  const small = await worst(QUERY_BYTES);
  const large = await worst(4 * QUERY_BYTES);
  expect(large.hashedBytes).toBeLessThan(4.5 * small.hashedBytes);
  expect(large.comparisons).toBeLessThan(1.5 * small.comparisons);
  expect(large.signatures).toBe(small.signatures);
});

test("an unknown key costs the work of a known key, so that the response time reveals nothing", async () => {
  for (const query of ["", "?a=1", queryOf(200) + APPENDED]) {
    expect(await workOf(query, "nobody"), query).toEqual(await workOf(query, WEB_CLIENT.key));
  }
});

test("over sockets: the highest number of parameters is served, one more gets a 400, and the log has the reason", async () => {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    server: { limits: { signedParameters: 3 } },
    apps: { "web-client": WEB_CLIENT },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { app: ["web-client"] } } },
  });
  const ask = async (names: readonly string[]) => {
    const query = Object.fromEntries(names.map((name) => [name, ["1"]]));
    const raw = rawSigned({ method: "GET", host: gateway.host, path: "/a", query });
    return (await rawRequest(gateway.port, raw, { until: "\r\n\r\n" })).status;
  };
  expect(await ask(["a", "b", "c"])).toBe(200);
  expect(await ask(["a", "b", "c", "d"])).toBe(400);
  expect((await gateway.requestLine(1))["err"]).toMatchObject({ code: "too_many_parameters" });
  // A reload changes the limit even for an otherwise unchanged route.
  await gateway.reload({
    server: { limits: { signedParameters: 4 } },
    apps: { "web-client": WEB_CLIENT },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { app: ["web-client"] } } },
  });
  expect(await ask(["a", "b", "c", "d"])).toBe(200);
});
