import { createServer, request as send } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { randomFrom } from "./matrix/random.mjs";
import { redisFaults } from "./redis-faults.mjs";
import { Instance, Network, RedisProcess, until } from "./shared-instances.mjs";

/**
 * Kills an instance, or breaks the Redis of both, again and again, while clients read named answers and lose their
 * connections: no client may lose a token, get it twice, or get tokens of two generations, without being told. It is
 * told by a connection that breaks off, or by 410; then it discards what it has and asks again.
 *
 *   npm run build && node test/soak/answer-chaos.mjs --rounds 100
 *
 * The last line is the verdict as JSON; the exit code is 0 when it is good.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    scale: { type: "string", default: "1" },
    clients: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 2 ** 32) },
    only: { type: "string" },
  },
});
const rounds = Math.round(Number(values.rounds) * Number(values.scale));
const random = randomFrom(Number(values.seed));
const between = (from, to) => from + random.upTo(to - from);
const TOKENS = 100;
const TOKEN_EVERY_MS = 20;
/** Longer than a lease and every timeout. */
const PATIENCE_MS = 90_000;
/** A client that gets nothing for so long asks again. */
const SILENCE_MS = 10_000;

/** Answers each request with another generation of numbered tokens, some of them in one write. */
class Backend {
  generations = 0;
  #server = createServer((request, response) => {
    request.resume();
    const generation = ++this.generations;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    let sent = 0;
    const timer = setInterval(() => {
      const due = Math.min(TOKENS, sent + 1 + random.upTo(2));
      let text = "";
      while (sent < due) text += `data: ${generation} ${++sent}\n\n`;
      response.write(text);
      if (sent < TOKENS) return;
      clearInterval(timer);
      response.end();
    }, TOKEN_EVERY_MS);
    response.on("close", () => clearInterval(timer));
  });

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const counts = {
  answers: 0,
  /** Those of them that sluice kept. */
  kept: 0,
  tokens: 0,
  resumed: 0,
  /** Answers that a client has asked for again, because it was told that its own is lost. */
  told: 0,
  unrecorded: 0,
  lost: 0,
  doubled: 0,
  mixed: 0,
};
/** The first violations, for the log. */
const violations = [];

/** Asks for one answer after the other, each to its end, over connections that it cuts itself now and then. */
class Client {
  #isClosed = false;
  #generation;
  #count = 0;
  #lastId = "";
  #key = "";

  constructor(name, instances) {
    this.name = name;
    this.instances = instances;
    this.done = this.#run();
  }

  close() {
    this.#isClosed = true;
  }

  async #run() {
    for (let answer = 0; !this.#isClosed; answer++) {
      this.#key = `${this.name}-${answer}`;
      this.#discard();
      const deadline = performance.now() + PATIENCE_MS;
      while (!(await this.#attempt())) {
        if (performance.now() > deadline) throw new Error(`${this.#key} was not whole in ${PATIENCE_MS} ms`);
        await delay(50);
      }
      counts.answers += 1;
    }
  }

  #discard() {
    this.#generation = undefined;
    this.#count = 0;
    this.#lastId = "";
  }

  /** Sends the POST once; returns whether the answer is whole. */
  async #attempt() {
    const before = this.#count;
    const from = this.#lastId;
    if (from === "") this.#discard();
    else counts.resumed += 1;
    const { status, isWhole, isRecorded } = await this.#post();
    if (status === 200 && isWhole) {
      if (isRecorded) counts.kept += 1;
      if (this.#count !== TOKENS) this.#violated("lost", `a clean end behind token ${this.#count}`);
      return true;
    }
    if (status === 422) throw new Error(`${this.#key}: 422`);
    // A broken answer brings nothing more, and an answer that is not kept cannot be resumed.
    const isLost =
      status === 410 || (status === 200 && (!isRecorded || (from !== "" && this.#count === before)));
    if (isLost) {
      counts.told += 1;
      this.#discard();
    }
    return false;
  }

  #post() {
    const { port } = random.one(this.instances);
    const headers = {
      Host: "answers",
      "X-User": "ann",
      "Idempotency-Key": this.#key,
      ...(this.#lastId !== "" && { "Last-Event-ID": this.#lastId }),
    };
    return new Promise((resolve) => {
      const request = send({ host: "127.0.0.1", port, path: "/", method: "POST", headers, agent: false });
      const silence = setTimeout(() => request.destroy(), SILENCE_MS);
      const cut = random.chance(0.5) ? setTimeout(() => request.destroy(), between(0, 3_000)) : undefined;
      const result = { status: 0, isWhole: false, isRecorded: true };
      request.on("error", () => {});
      request.on("close", () => {
        clearTimeout(silence);
        clearTimeout(cut);
        resolve(result);
      });
      request.on("response", (response) => {
        result.status = response.statusCode;
        result.isRecorded = response.headers.location !== undefined;
        if (result.status === 200 && !result.isRecorded) counts.unrecorded += 1;
        let rest = "";
        response.setEncoding("latin1");
        response.on("error", () => {});
        response.on("data", (text) => {
          silence.refresh();
          const blocks = (rest + text).split("\n\n");
          rest = blocks.pop() ?? "";
          if (result.status === 200) for (const block of blocks) this.#take(block);
        });
        response.on("end", () => {
          result.isWhole = response.complete;
        });
      });
      request.end('{"prompt":"Say it."}');
    });
  }

  #take(block) {
    const [, generation, token] = /^data: (\d+) (\d+)$/m.exec(block) ?? [];
    if (generation === undefined) return;
    counts.tokens += 1;
    this.#generation ??= generation;
    const expected = this.#count + 1;
    if (generation !== this.#generation) this.#violated("mixed", `${this.#generation} goes on as ${block}`);
    else if (Number(token) < expected) this.#violated("doubled", `${block} instead of ${expected}`);
    else if (Number(token) > expected) this.#violated("lost", `${block} instead of ${expected}`);
    this.#count = Number(token);
    this.#lastId = /^id: ?(.*)$/m.exec(block)?.[1] ?? this.#lastId;
  }

  #violated(what, text) {
    counts[what] += 1;
    if (violations.length < 10) violations.push(`${this.#key}: ${what}: ${text}`);
  }
}

const redis = new RedisProcess({ appendOnly: true });
const network = new Network();
const backend = new Backend();
await redis.start();
await network.listen(redis.port);
await backend.listen();
const route = {
  match: { path: "/", host: "answers" },
  resume: { by: ["header:X-User"], answers: 100_000, answersPerClient: 100_000, keep: "30s" },
};
// One instance reaches Redis over a simulated network that can fail.
const instances = [
  new Instance("a", { backend: backend.url, redis: network.url, route }),
  new Instance("b", { backend: backend.url, redis: redis.url, route }),
];
for (const instance of instances) await instance.start();
const FAULTS = {
  async instanceKilled() {
    const instance = random.one(instances);
    await instance.kill();
    await delay(between(0, 2_000));
    await instance.start();
  },
  ...redisFaults({ network, instances }, () => random.upTo(1_000) / 1_000),
};
const names = values.only?.split(",") ?? Object.keys(FAULTS);
const clients = Array.from(
  { length: Number(values.clients) },
  (_, at) => new Client(`client-${at}`, instances),
);
const whole = Promise.all(clients.map(({ done }) => done));
whole.catch(() => {});
const done = {};
let verdict;
try {
  await until(() => counts.tokens > 0, "the first token");
  for (let round = 0; round < rounds; round++) {
    const name = names[round % names.length];
    const { kept } = counts;
    await Promise.race([FAULTS[name](redis), whole]);
    done[name] = (done[name] ?? 0) + 1;
    await Promise.race([
      until(() => counts.kept > kept + clients.length, "kept answers", PATIENCE_MS),
      whole,
    ]);
    if (round % 10 === 9) console.error(`round ${round + 1}: ${JSON.stringify(counts)}`);
  }
  for (const client of clients) client.close();
  await whole;
  const exits = instances.flatMap((instance) => instance.exits);
  const { lost, doubled, mixed } = counts;
  const isGood = lost + doubled + mixed + exits.length === 0;
  verdict = { isGood, rounds, ...counts, generations: backend.generations, exits, done };
} catch (error) {
  const last = instances.map(({ name, log }) => `${name}:\n${log.slice(-25).join("\n")}`).join("\n");
  console.error(last);
  verdict = { isGood: false, error: String(error), ...counts, done };
} finally {
  for (const client of clients) client.close();
  backend.close();
  for (const instance of instances) await instance.close();
  network.close();
  await redis.close();
}
if (violations.length > 0) console.error(violations.join("\n"));
console.log(JSON.stringify({ ...verdict, seed: Number(values.seed) }));
process.exit(verdict.isGood ? 0 : 1);
