import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { redisIn, redisSchema } from "../../../src/config/redis-schema.ts";
import { afterTest } from "../../support/after-test.ts";
import { certificateFiles } from "../../support/certificate-files.ts";
import { valid } from "../../support/signed-certificates.ts";

test("it is null, a URL or an object", () => {
  expect(redisSchema.parse(undefined)).toBeNull();
  expect(redisSchema.parse(null)).toBeNull();
  const defaults = { prefix: "sluice", lease: 2000, timeout: 1000, required: false };
  expect(redisSchema.parse("redis://127.0.0.1")).toEqual({ url: "redis://127.0.0.1", ...defaults });
  const url = "rediss://user:pass@redis.example.com:6380/3";
  expect(redisSchema.parse({ url, prefix: "blue" })).toEqual({ url, ...defaults, prefix: "blue" });
});

test("a file may contain the URL, because the URL may contain a password", () => {
  const directory = mkdtempSync(join(tmpdir(), "redis-"));
  afterTest(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, "url"), "redis://:secret@10.0.0.1:6379\n");
  expect(redisSchema.parse(`file:${join(directory, "url")}`)?.url).toBe("redis://:secret@10.0.0.1:6379");
});

test.each([
  ["", "expected a secret that is not empty"],
  ["10.0.0.1:6379", "expected a URL such as redis://"],
  ["http://10.0.0.1", "expected a URL such as redis://"],
  ["redis://", "expected a URL such as redis://"],
  ["redis://10.0.0.1/other/path", "expected a URL such as redis://"],
  [{ url: "redis://a", lease: "10ms" }, "expected a duration from 500ms to 60s"],
  [{ url: "redis://a", timeout: "1ms" }, "expected a duration from 50ms to 30s"],
  [{ url: "redis://a", prefix: "a b" }, "expected 1 to 64 letters"],
  [5, "expected a URL such as redis://"],
  ["redis://10.0.0.1:6379,10.0.0.2:6379", "for several, use redis.sentinel or redis.cluster"],
  ["redis+sentinel://10.0.0.1:26379/main", "for several, use redis.sentinel or redis.cluster"],
  [{}, "expected url, sentinel or cluster"],
  [{ url: "redis://a", cluster: { nodes: ["a"] } }, "expected only one of url, sentinel and cluster"],
  [{ sentinel: { nodes: ["a"] } }, '"path":["sentinel","name"]'],
  [{ sentinel: { name: "a b", nodes: ["a"] } }, "expected the name of the master in sentinel.conf"],
  [{ sentinel: { name: "main", nodes: ["a"], username: "u" } }, "expected password as well"],
  [{ cluster: { nodes: [] } }, "expected at least one node"],
  [{ cluster: { nodes: "a:6379" } }, "expected a list of host:port"],
  [{ cluster: { nodes: ["redis://a:6379"] } }, "expected host:port, such as 10.0.0.1:6379"],
  [{ cluster: { nodes: ["a:0"] } }, "expected host:port, such as 10.0.0.1:6379"],
  [{ cluster: { nodes: ["a:65536"] } }, "expected host:port, such as 10.0.0.1:6379"],
  [{ url: "redis://a", username: "sluice" }, "expected password as well"],
  [{ url: "redis://:secret@a", password: "other" }, "expected it in url or here, not in both"],
  [{ url: "redis://a", tls: true }, "expected a url with rediss://"],
  [{ url: "rediss://a", tls: false }, "expected true, or an object with ca, cert, key and serverName"],
  [{ url: "rediss://a", tls: { ca: "missing.pem" } }, "missing.pem"],
  [{ url: "rediss://a", tls: { cert: "a.pem" } }, "expected key as well"],
  [{ url: "rediss://a", tls: { key: "a.pem" } }, "expected cert as well"],
  [{ url: "rediss://a", tls: { serverName: "a b" } }, "expected a host name"],
])("%j is refused: %s", (value, message) => {
  const result = redisSchema.safeParse(value);
  expect(JSON.stringify(result.error?.issues)).toContain(message);
});

test("sentinels and the nodes of a cluster have default ports", () => {
  const nodes = ["a", "10.0.0.1:7000", "[::1]", "[::1]:7001"];
  const sentinel = redisSchema.parse({ sentinel: { name: "main", nodes, password: "p" } })?.sentinel;
  expect(sentinel).toMatchObject({ name: "main", password: "p" });
  expect(sentinel?.nodes.map(({ host, port }) => `${host} ${port}`)).toEqual([
    "a 26379",
    "10.0.0.1 7000",
    "::1 26379",
    "::1 7001",
  ]);
  const { cluster, tls, username } =
    redisSchema.parse({ cluster: { nodes: ["a"] }, tls: true, username: "u", password: "p" }) ?? {};
  expect({ cluster, tls, username }).toEqual({
    cluster: { nodes: [{ host: "a", port: 6379 }] },
    tls: {},
    username: "u",
  });
});

test("the files of tls are read relative to the configuration, and a key of another certificate is refused", async () => {
  const { cert, key } = await certificateFiles();
  const directory = dirname(cert);
  const own = { ca: "cert.pem", cert: "cert.pem", key: "key.pem", serverName: "redis.test" };
  const { tls } = redisIn(directory).parse({ url: "rediss://a", tls: own }) ?? {};
  expect(tls?.serverName).toBe("redis.test");
  expect(tls?.cert).toBe(readFileSync(cert, "utf8"));
  expect(tls?.key).toBe(readFileSync(key, "utf8"));
  expect(tls?.ca?.trim()).toBe(tls?.cert?.trim());
  const other = await certificateFiles(valid);
  const refused = redisIn(directory).safeParse({ url: "rediss://a", tls: { ...own, key: other.key } });
  expect(JSON.stringify(refused.error?.issues)).toContain("the key does not belong to the certificate");
});

test("a refused value is not repeated, because it may be a password", () => {
  const result = redisSchema.safeParse("hunter2");
  expect(result.success).toBe(false);
  expect(JSON.stringify(result.error?.issues)).not.toContain("hunter2");
});
