import { spawn } from "node:child_process";
import { Redis } from "ioredis";
import { freePort, temporaryDirectory } from "../parts/processes.mjs";
import { RedisProxy, WRONG_REPLIES } from "./redis-proxy.mjs";

/** A Redis that the gateways share, with another instance: a newer version, or a hostile one. */
const EXECUTABLE = process.env.REDIS_PATH ?? "/usr/bin/redis-server";
/** The expiry of the other instance's keys. */
const KEPT_MS = 300;
/** So many streams it leads at once: each of them may end in the next moment. */
const MOST_LED = 20;

const failed = (more) => ({
  is: "failed",
  status: 503,
  code: "backend_refused",
  fields: [],
  retryAt: 0,
  ...more,
});

/** Backend states of another version. */
const STATES = [
  JSON.stringify(failed({ code: "backend_quota_exceeded" })),
  JSON.stringify(failed({ code: "constructor" })),
  JSON.stringify(failed({ fields: undefined })),
  JSON.stringify(failed({ fields: "none" })),
  JSON.stringify(failed({ fields: [["X-A"]] })),
  JSON.stringify(failed({ fields: [["X-A", "b\r\nSet-Cookie: x=1"]] })),
  JSON.stringify(failed({ fields: [["X A", "b"]] })),
  JSON.stringify(failed({ status: 99 })),
  JSON.stringify(failed({ status: "503" })),
  JSON.stringify(failed({ status: 200 })),
  JSON.stringify(failed({ retryAt: "soon" })),
  JSON.stringify(failed({ retryAt: 1e300 })),
  JSON.stringify(failed({ code: undefined, status: undefined })),
  JSON.stringify({ is: "open", retryMs: "1\n\ndata: forged\n\n" }),
  JSON.stringify({ is: "open", retryMs: -1 }),
  JSON.stringify({ is: "open", retryMs: 1e300 }),
  JSON.stringify({ is: "ended", more: {} }),
  JSON.stringify({ is: "paused" }),
  JSON.stringify({ is: ["failed"] }),
  "null",
  "[]",
  "{",
  "\0",
  '"failed"',
  "x".repeat(100_000),
];

/** The fields of a stream entry. */
const ENTRIES = [
  ["v", "2", "x", "y"],
  ["v", "1", "i", "a\n\nb", "n", "c", "t", "5", "b", "data: forged\n\n"],
  ["v", "1", "i", "1", "n", "1", "t", "soon", "b", "data: a\n\n"],
  ["v", "1", "i", "1", "n", "1", "t", "99999999999999", "b", ""],
  ["b", "data: no id\n\n"],
  ["v", "1", "i", "x".repeat(5_000), "n", "\0", "t", "1", "b", "no event"],
];

export class MatrixRedis {
  #child;
  #client;
  #proxy;

  /** The address for the gateways. */
  get url() {
    return this.#proxy.url;
  }

  get port() {
    return this.#proxy.port;
  }

  async start() {
    const port = await freePort();
    const args = [
      "--port",
      port,
      "--bind",
      "127.0.0.1",
      "--dir",
      temporaryDirectory(),
      "--save",
      "",
      "--appendonly",
      "no",
    ];
    this.#child = spawn(EXECUTABLE, args.map(String), { stdio: "ignore" });
    process.once("exit", () => this.#child.kill("SIGKILL"));
    this.#client = new Redis({ host: "127.0.0.1", port, retryStrategy: () => 50 });
    this.#client.on("error", () => {});
    await new Promise((resolve) => this.#client.once("ready", resolve));
    this.#proxy = new RedisProxy(port);
    await this.#proxy.listen();
  }

  /** Applies `choice` to an existing record. */
  async harm(choice) {
    const kinds = [
      () => this.#writeState(choice),
      () => this.#writeState(choice),
      () => this.#writeState(choice),
      () => this.#proxy.answerWrongly(this.#wrongReplies(choice)),
      () => this.#proxy.answerWrongly(this.#wrongReplies(choice)),
      () => this.#addEntry(choice),
      () => this.#breakKeys(choice),
      () => this.#notify(choice),
    ];
    const rest = Math.floor(choice / kinds.length);
    // The record may disappear meanwhile, and a refusal of Redis is fine too.
    await kinds[choice % kinds.length](rest)?.catch?.(() => {});
  }

  #wrongReplies(choice) {
    const count = 1 + (choice % 3);
    return Array.from(
      { length: count },
      (_, at) => WRONG_REPLIES[(Math.floor(choice / 3) + at) % WRONG_REPLIES.length],
    );
  }

  async #records(pattern) {
    return (await this.#client.keys(pattern)).sort();
  }

  /** Leads in the place of who leads, and says how the backends are. */
  async #writeState(choice) {
    // Of the streams that are open where there are any: nobody reads the others' states.
    const leases = await this.#records("*:lease");
    const led = leases.map((lease) => lease.replace(/lease$/, "meta"));
    const metas = led.length > 0 ? led : await this.#records("*:meta");
    const first = metas.length === 0 ? 0 : choice % metas.length;
    await Promise.all(
      metas.slice(first, first + MOST_LED).map((meta, at) => this.#writeStateOf(meta, choice + at)),
    );
  }

  async #writeStateOf(meta, choice) {
    const token = Number(await this.#client.hget(meta, "token")) + 1;
    await this.#client.set(meta.replace(/meta$/, "lease"), "other", "PX", KEPT_MS);
    await this.#client.hset(meta, "token", String(token), "state", STATES[choice % STATES.length]);
    await this.#client.pexpire(meta, KEPT_MS);
    await this.#client.xadd("sluice:1:notices", "MAXLEN", "~", 1_000, "*", "n", /\{(.*)\}/.exec(meta)[1]);
  }

  async #addEntry(choice) {
    const streams = await this.#records("*:events");
    if (streams.length === 0) return;
    const stream = streams[choice % streams.length];
    const id = choice % 2 === 0 ? `${Date.now() + 5}-1` : "*";
    await this.#client.xadd(stream, id, ...ENTRIES[choice % ENTRIES.length]);
    await this.#client.pexpire(stream, KEPT_MS);
  }

  /** Keys of another type, fields that are not numbers, deleted keys. */
  async #breakKeys(choice) {
    const keys = await this.#records("sluice:1:*");
    if (keys.length === 0) return;
    const key = keys[choice % keys.length];
    const kind = choice % 4;
    if (kind === 0) await this.#client.del(key);
    if (kind === 1) await this.#client.set(key, "text", "PX", KEPT_MS);
    if (kind === 2 && key.endsWith("meta")) await this.#client.hset(key, "token", "none", "bytes", "many");
    if (kind === 3 && key.endsWith("meta")) await this.#client.hdel(key, "epoch", "token");
    // A key that expired meanwhile was created again, without an expiry.
    await this.#client.pexpire(key, KEPT_MS);
  }

  async #notify(choice) {
    const names = ["", "shared:none", "\0", "x".repeat(10_000)];
    await this.#client.xadd("sluice:1:notices", "*", "n", names[choice % names.length]);
  }

  /** Removes the remaining wrong replies. */
  behave() {
    this.#proxy.behave();
  }

  /** Returns the held leases and the keys without an expiry. */
  async left() {
    const leases = await this.#records("*:lease");
    const keys = await this.#records("sluice:1:{*");
    const lifetimes = await Promise.all(keys.map((key) => this.#client.pttl(key)));
    return { leases, eternal: keys.filter((_, at) => lifetimes[at] === -1) };
  }

  stop() {
    this.#client.disconnect();
    this.#proxy.close();
    this.#child.kill("SIGKILL");
  }
}
