import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { MemoryCounterStore } from "../../../src/limits/memory-counter-store.ts";
import { askAdmin } from "../../support/admin.ts";
import { refusedPort, startBackend } from "../../support/backend.ts";
import { certificateFiles } from "../../support/certificate-files.ts";
import { eventually } from "../../support/eventually.ts";
import { startGateway } from "../../support/gateway.ts";
import { idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { startSentinel } from "../../support/redis-sentinel.ts";
import { authority, valid } from "../../support/signed-certificates.ts";

const DOCUMENT = readFileSync(new URL("../../../docs/redis.md", import.meta.url), "utf8");

/** The rules that docs/redis.md gives for a user, without its name. */
const [RIGHTS = [], SENTINEL_RIGHTS = []] = [/~sluice/, /switch-master/].map((kind) => {
  const lines = DOCUMENT.split("\n").filter((line) => line.startsWith("ACL SETUSER sluice "));
  return lines
    .find((line) => kind.test(line))
    ?.split(" ")
    .slice(3);
});
const CLUSTER_RIGHTS = ["+cluster|slots", "+asking"];

const allow = ({ client }: RedisServer, ...rules: readonly string[]) =>
  client.call("ACL", "SETUSER", "sluice", ...rules);

const USER = { username: "sluice", password: "PASSWORD" };

/** Uses all that instances share, at two instances. */
async function useAll(where: Readonly<Record<string, unknown>>): Promise<void> {
  const [one, other] = [startStore(where), startStore(where)];
  const leader = new RecordFeed(one).start();
  await eventually(() => leader.isLeading, "a leader");
  const follower = new RecordFeed(other).start();
  await eventually(() => follower.told.includes("follow"), "a follower");
  leader.append(...idsFrom(1, 10));
  await eventually(() => follower.live.length === 10, "the events");
  const [a, b] = [one, other].map((store) => store.counters(new MemoryCounterStore(100)));
  const now = Date.now();
  expect(await a?.signatures.useOnce(Buffer.from("signature"), now + 60_000, now)).toBe("new");
  expect(await b?.signatures.useOnce(Buffer.from("signature"), now + 60_000, now)).toBe("seen");
  const windows = a?.windows("route", { requests: 5, per: 60_000, by: "address", maxKeys: 100 });
  expect((await windows?.take("client"))?.remaining).toBe(4);
  windows?.close();
  const principal = { app: undefined, key: "k", fields: [], expiresAt: undefined };
  await a?.tickets("route").put("hash", { path: "/", expiresAt: now + 60_000, principal }, 10);
  expect(await b?.tickets("route").take("hash")).toMatchObject({ path: "/" });
  const sessions = a?.sessions("route", "", { maxKeys: 100, expires: 60_000 });
  await sessions?.put("session", "b".repeat(22));
  expect(await sessions?.find("session")).toBe("b".repeat(22));
  sessions?.close();
  const id = "a".repeat(22);
  expect(await one.answers.claim("name", { id, replaced: undefined }, 60_000)).toBe(id);
  await one.answers.hold("name", id, 60_000);
  await one.answers.attend({ route: "r", key: id, definition: "d" }, 60_000);
  expect(await other.answers.isAttended({ route: "r", key: id, definition: "d" })).toBe(true);
  await one.answers.forget({ route: "r", key: id, definition: "d" });
  await leader.store.override?.({ is: "ended" });
  leader.store.close();
  await Promise.all([one.close(), other.close()]);
}

const deniedAt = async ({ client }: RedisServer) =>
  ((await client.call("ACL", "LOG")) as string[][]).map((entry) => entry.join(" "));

test("a user with the rights of the document can use all that instances share", async () => {
  const redis = await startRedis();
  await allow(redis, ...RIGHTS);
  await useAll({ url: redis.url, ...USER });
  expect(await deniedAt(redis)).toEqual([]);

  const node = await startRedis({
    options: ["--cluster-enabled", "yes", "--cluster-port", String(await refusedPort())],
  });
  await node.client.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
  await eventually(async () =>
    String(await node.client.call("CLUSTER", "INFO")).includes("cluster_state:ok"),
  );
  await allow(node, ...RIGHTS, ...CLUSTER_RIGHTS);
  await useAll({ cluster: { nodes: [`127.0.0.1:${node.port}`] }, ...USER });
  expect(await deniedAt(node)).toEqual([]);
});

test("each right of the document is needed: without it, the log names it", async () => {
  const redis = await startRedis();
  // CLIENT SETNAME is for operators: without it, the connections have no name.
  const commands = RIGHTS.filter((rule) => rule.startsWith("+") && rule !== "+client|setname");
  const named: string[] = [];
  for (const rule of commands) {
    await allow(redis, "reset", ...RIGHTS.filter((each) => each !== rule));
    // A script that Redis knows needs no EVAL.
    await redis.client.script("FLUSH");
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
    const store = startStore({ url: redis.url, ...USER }, {}, log);
    const find = () => lines.find((each) => each.includes("redis forbids")) ?? "";
    const line = await eventually(find, `a line for ${rule}`);
    named.push(...(JSON.parse(line) as { forbidden: string[] }).forbidden);
    await store.close();
  }
  expect(named.map((name) => `+${name}`)).toEqual(commands);
});

test("a user who lacks a right is a reason of /readyz, until it has the right", async () => {
  const [backend, redis] = await Promise.all([startBackend(), startRedis()]);
  await allow(redis, ...RIGHTS, "-xadd");
  const gateway = await startGateway({
    server: { redis: { url: redis.url, ...USER, lease: "1s", timeout: "500ms" }, admin: 0 },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, shared: {} } },
  });
  const ready = async () => JSON.parse((await askAdmin(gateway, "/readyz")).text) as { reasons: string[] };
  await eventually(async () => (await ready()).reasons.includes("store_forbidden"), "the reason");
  expect(gateway.log.filter(({ msg }) => String(msg).startsWith("redis forbids"))).toMatchObject([
    { forbidden: ["xadd"] },
  ]);
  await allow(redis, "+xadd");
  await redis.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await eventually(async () => !(await ready()).reasons.includes("store_forbidden"), "an end of the reason");
});

test("a server that is no cluster, and a user who may not ask for the slots, are named in the log", async () => {
  const redis = await startRedis();
  await allow(redis, ...RIGHTS);
  for (const [user, fault] of [
    [{}, /cluster support disabled/],
    [USER, /NOPERM.*cluster/],
  ] as const) {
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
    startStore({ cluster: { nodes: [`127.0.0.1:${redis.port}`] }, ...user }, {}, log);
    await eventually(
      () => lines.some((line) => line.includes("redis is away") && fault.test(line)),
      String(fault),
    );
  }
});

test("over TLS, with certificates of both sides, one server, a cluster and sentinels can be used", async () => {
  const files = await certificateFiles(valid);
  const ca = join(dirname(files.cert), "ca.pem");
  await writeFile(ca, authority);
  const start = async (more: readonly string[] = []) => {
    const port = await refusedPort();
    const own = ["--tls-cert-file", files.cert, "--tls-key-file", files.key, "--tls-ca-cert-file", ca];
    const redis = await startRedis({
      options: ["--tls-port", String(port), "--tls-auth-clients", "yes", ...own, ...more],
    });
    return { redis, port };
  };
  const tls = { ca, ...files };
  const { redis, port } = await start();
  await allow(redis, ...RIGHTS);
  await useAll({ url: `rediss://127.0.0.1:${port}`, ...USER, tls });

  const bus = ["--cluster-enabled", "yes", "--cluster-port", String(await refusedPort())];
  const node = await start([...bus, "--tls-cluster", "yes"]);
  await node.redis.client.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
  await eventually(async () =>
    String(await node.redis.client.call("CLUSTER", "INFO")).includes("cluster_state:ok"),
  );
  await useAll({ cluster: { nodes: [`127.0.0.1:${node.port}`] }, tls: { ...tls, serverName: "app.test" } });

  const own = ["tls-cert-file", "tls-key-file", "tls-ca-cert-file"];
  const paths = [files.cert, files.key, ca];
  const ofTls = own.map((name, at) => `${name} ${paths[at]}`);
  const tlsPort = await refusedPort();
  const sentinel = await startSentinel(port, [`tls-port ${tlsPort}`, "tls-replication yes", ...ofTls]);
  await eventually(() => sentinel.client.call("ACL", "SETUSER", "sluice", ...SENTINEL_RIGHTS));
  await redis.client.flushall();
  const sentinels = { name: "main", nodes: [`127.0.0.1:${tlsPort}`], ...USER };
  await useAll({ sentinel: sentinels, ...USER, tls });
  expect(await sentinel.client.call("ACL", "LOG")).toEqual([]);

  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  for (const [given, fault] of [
    // With TLS 1.3 the server refuses after the handshake of the client, whose next write may fail first.
    [{ ca }, /certificate required|ECONNRESET|EPIPE|lost/],
    [{ ...files }, /unable to|self-signed/],
    [{ ...tls, serverName: "other.test" }, /altnames/],
  ] as const) {
    lines.length = 0;
    const store = startStore({ url: `rediss://127.0.0.1:${port}`, ...USER, tls: given }, {}, log);
    const isNamed = () => lines.some((line) => line.includes("redis is away") && fault.test(line));
    await eventually(isNamed, String(fault));
    await store.close();
  }
});
