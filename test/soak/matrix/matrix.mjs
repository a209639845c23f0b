import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Backend } from "./backend.mjs";
import { Bystanders, plainAnswer } from "./bystanders.mjs";
import { describeCase, drawCase, drawCommonAnswer } from "./cases.mjs";
import { checkAnswers } from "./check-answers.mjs";
import { Client } from "./client.mjs";
import { Gateway } from "./gateway.mjs";
import { checkAnswer, checkLife, checkLimits, checkLog, checkRest, stateOf } from "./invariants.mjs";
import { MatrixRedis } from "./redis.mjs";
import { APP_CODE } from "./requests.mjs";

/** The gateways under test with their backends, and the rounds of cases. */

const WORKERS = { one: 1, redis: 1, two: 2 };
/** Each serving process has one for commands, and one that waits for events. */
const REDIS_CONNECTIONS = { one: 0, redis: 2, two: 4 };
/** The number of connections at a time, over all gateways. */
const AT_ONCE = 80;
/** The number of cases without a fault before the first rest, the reference. */
const WARM_UP = 45;
/** Only a few at a time, because a new process is slow. */
const WARM_UP_AT_ONCE = 15;
const FIRST_WARM_UP = 1_000_000_000;
/** A gateway that ended more often in one round is not restarted in this round. */
const MOST_DEATHS = 4;
const SETTLE_MS = 50;
const TICKET_MS = 2_000;

/** A case without faults, with a typical client. */
function calm(drawn) {
  const requests = drawn.requests.map((request) => ({
    ...request,
    method: "GET",
    body: undefined,
    upgrade: drawn.client === "websocket" ? "websocket" : undefined,
    stream: request.name,
    fields: [],
    illegal: undefined,
    answer: plainAnswer(request.route === "forward" ? request.name : `calm${request.name}`),
  }));
  const client = drawn.client === "old" ? "plain" : drawn.client;
  return {
    ...drawn,
    client,
    requests,
    fault: { ...drawn.fault, kind: "none" },
    redis: undefined,
    patienceMs: 600,
  };
}

/** One gateway, its backend, and its running cases. */
class Side {
  gateway;
  backend;
  baseline;
  bystanders;
  /** The violations after the warm-up. */
  cold = [];
  deaths = 0;
  /** The running cases by number. */
  running = new Map();
  /** The cases that ran when the process ended. */
  suspects = [];
  seen = [];
  /** The responses to the cases' own requests, by name. */
  answers = new Map();
  #seed;

  constructor(name, seed) {
    this.#seed = seed;
    this.backend = new Backend(
      (_route, request) => this.#answerOf(request),
      (request) => this.running.get(Number(request.split(".")[0]))?.backendAnswers(),
    );
    this.gateway = new Gateway(name, this.backend, WORKERS[name], () => {
      this.suspects = [...this.running.values()].map(({ drawn }) => drawn);
    });
  }

  #answerOf(name) {
    if (name.startsWith("common")) return drawCommonAnswer(this.#seed, name);
    // A request of the gateway for no case, or for a finished one.
    return this.answers.get(name) ?? plainAnswer(name);
  }
}

export class Matrix {
  #seed;
  #node;
  #redis = new MatrixRedis();
  #sides = new Map();
  /** The memory of each process at each rest: `{ name, rounds: [{ heap, rss }] }`. */
  memory = new Map();

  /** `gateways` are the names of the gateways to run. */
  constructor({ seed, node, gateways = Object.keys(WORKERS) }) {
    this.#seed = seed;
    this.#node = node;
    for (const name of gateways) this.#sides.set(name, new Side(name, seed));
  }

  async start() {
    await this.#redis.start();
    for (const { backend } of this.#sides.values()) await backend.listen();
    await Promise.all([...this.#sides.values()].map((side) => this.#startSide(side)));
  }

  async stop() {
    for (const { gateway, backend } of this.#sides.values()) {
      await gateway.stop();
      backend.close();
    }
    this.#redis.stop();
  }

  get gateways() {
    return [...this.#sides.values()].map(({ gateway }) => gateway);
  }

  /**
   * Runs the cases of these numbers, and returns the violations: `{ gateway, what, cases }`. `isDeep` also looks for
   * leaked exchanges.
   */
  async round(indices, isDeep = false) {
    const sides = [...this.#sides.values()];
    for (const side of sides) {
      side.deaths = 0;
      side.gateway.log.forget();
      side.seen = [];
      side.backend.take();
    }
    for (const side of sides) side.bystanders = new Bystanders(side.gateway).start();
    const broken = await this.#run(indices);
    this.#redis.behave();
    for (const side of sides)
      for (const what of await side.bystanders.stop()) broken.push(violation(side, `bystanders: ${what}`));
    const rested = await Promise.all(sides.map((side) => this.#rest(side, isDeep)));
    return [...broken, ...rested.flat()];
  }

  async #startSide(side) {
    const { gateway } = side;
    const redisUrl = gateway.name === "one" ? undefined : this.#redis.url;
    await gateway.start({ node: this.#node, redisUrl });
    side.baseline = undefined;
    const numbers = Array.from({ length: WARM_UP * 3 }, (_, at) => FIRST_WARM_UP + at);
    const cases = numbers.map((index) => calm(drawCase(this.#seed, index)));
    const own = cases.filter((drawn) => drawn.gateway === gateway.name).slice(0, WARM_UP);
    await inParallel(own, WARM_UP_AT_ONCE, (drawn) => this.#runCase(side, drawn));
    const options = { redis: this.#redis, seen: side.backend.take(), baseline: undefined };
    side.cold = await checkRest(gateway, options);
    side.baseline = await stateOf(gateway, this.#peersOf(side), REDIS_CONNECTIONS[gateway.name]);
  }

  async #run(indices) {
    const broken = [];
    const starting = new Map();
    await inParallel(indices, AT_ONCE, async (index) => {
      // Drawn only now, because some have a body of 8 MiB.
      const drawn = drawCase(this.#seed, index);
      const side = this.#sides.get(drawn.gateway);
      if (side === undefined) return;
      if (side.deaths >= MOST_DEATHS) return;
      if (!side.gateway.isUp && !starting.has(side))
        starting.set(
          side,
          this.#bury(side, broken).finally(() => starting.delete(side)),
        );
      await starting.get(side);
      for (const what of await this.#runCase(side, drawn)) broken.push(violation(side, what, [drawn]));
    });
    return broken;
  }

  /** Records the death of a gateway and restarts it. */
  async #bury(side, broken) {
    side.deaths += 1;
    const what = [...checkLife(side.gateway), ...checkLog(side.gateway)].join("; ");
    broken.push(violation(side, what, side.suspects));
    await side.bystanders.stop();
    await this.#renew(side);
    side.bystanders = new Bystanders(side.gateway).start();
  }

  /** Replaces a process that died or leaks. */
  async #renew(side) {
    await side.gateway.stop();
    // Some output of the old process may still be unread.
    await sleep(SETTLE_MS);
    side.backend.take();
    await this.#startSide(side);
  }

  #peersOf({ backend }) {
    return new Map([
      [backend.port, "backend"],
      [this.#redis.port, "Redis"],
    ]);
  }

  /** Runs a case to its end; resolves with the errors in its responses. */
  async #runCase(side, drawn) {
    for (const { name, answer } of drawn.requests) if (answer !== undefined) side.answers.set(name, answer);
    const client = new Client(drawn, side.gateway);
    side.running.set(drawn.index, client);
    const harm = drawn.redis && setTimeout(() => void this.#redis.harm(drawn.redis.choice), drawn.redis.ms);
    await client.run((request) => this.#ticketFor(side, request));
    clearTimeout(harm);
    side.running.delete(drawn.index);
    for (const { name } of drawn.requests) side.answers.delete(name);
    return checkAnswers(drawn, client.text);
  }

  async #rest(side, isDeep) {
    const { gateway, backend, baseline } = side;
    const broken = [...checkLife(gateway), ...side.cold.splice(0).map((what) => `without faults: ${what}`)];
    side.seen = backend.take();
    const options = { baseline, redis: this.#redis, seen: side.seen, isDeep };
    broken.push(...(await checkAnswer(gateway)));
    if (broken.length === 0) broken.push(...(await checkRest(gateway, options)));
    broken.push(...checkLog(gateway));
    if (broken.length === 0) broken.push(...(await checkLimits(gateway)));
    if (broken.length === 0) {
      await checkRest(gateway, { ...options, seen: [], isDeep: false });
      await this.#weigh(gateway);
    } else if (broken.length > 0) {
      // Its leaks would be found again in every later round.
      await this.#renew(side);
    }
    return broken.map((what) => violation(side, what));
  }

  async #weigh(gateway) {
    for (const [at, { heapUsed, external, rss }] of ((await gateway.inside()) ?? []).entries()) {
      const name = `${gateway.name} ${at}`;
      if (!this.memory.has(name)) this.memory.set(name, []);
      this.memory.get(name).push({ at: performance.now(), bytes: heapUsed + external, rss });
    }
  }

  /** Requests a ticket for a request that needs one; undefined for others, or without a ticket. */
  #ticketFor({ gateway }, { route, ticket, name }) {
    if (route !== "ticket" || (ticket !== "good" && ticket !== "twice")) return undefined;
    const socket = connect(gateway.placeOf("tcp", false));
    const fields = `Host: a.test\r\nX-Apig-AppCode: ${APP_CODE}\r\nConnection: close\r\nContent-Length: 0\r\n`;
    socket.write(`POST /ticket/${name}?ticket HTTP/1.1\r\n${fields}\r\n`);
    let text = "";
    return new Promise((resolve) => {
      socket.setTimeout(TICKET_MS, () => socket.destroy());
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
      });
      socket.on("close", () => resolve(/"ticket":"([^"]+)"/.exec(text)?.[1]));
    });
  }
}

function violation({ gateway }, what, cases = []) {
  return {
    gateway: gateway.name,
    what,
    cases: cases.map(({ index }) => index),
    described: cases.map(describeCase),
  };
}

async function inParallel(items, count, run) {
  const left = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of left) await run(item);
  };
  await Promise.all(Array.from({ length: count }, worker));
}
