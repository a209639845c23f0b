import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, get } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** For soaks: instances of sluice that share a Redis, a backend that resumes, and clients that count events. */

/** The route of a shared stream. */
const SHARED = {
  match: { path: "/stream", host: "shared" },
  shared: { history: { events: 20_000, bytes: "32m" }, redial: { min: "100ms" } },
};

const MAIN = process.env.SLUICE_MAIN ?? new URL("../../dist/cli/main.js", import.meta.url).pathname;
const VALKEY = "/usr/bin/valkey-server";
export const REDIS = process.env.REDIS_PATH ?? (existsSync(VALKEY) ? VALKEY : "/usr/bin/redis-server");

export async function freePort() {
  const server = createTcpServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function until(probe, what, timeoutMs = 15_000) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${timeoutMs} ms`);
    await delay(5);
  }
}

/** A backend with events 1, 2, 3 … at a rate; a request with Last-Event-ID gets the events after that id. */
export class Backend {
  count = 0;
  /** The times of the requests (`performance.now()`). */
  dials = [];
  #open = new Set();
  #server = createServer((request, response) => {
    this.dials.push(performance.now());
    const last = Number(request.headers["last-event-id"] ?? this.count);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(`: from ${last}\n\n${this.#blocks(last + 1, this.count)}`);
    this.#open.add(response);
    response.on("close", () => this.#open.delete(response));
  });

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  get open() {
    return this.#open.size;
  }

  emit(rate) {
    const startedAt = performance.now();
    const before = this.count;
    this.timer = setInterval(() => {
      const due = before + Math.floor(((performance.now() - startedAt) * rate) / 1000);
      if (due <= this.count) return;
      const blocks = this.#blocks(this.count + 1, due);
      this.count = due;
      for (const response of this.#open) response.write(blocks);
    }, 10);
  }

  stop() {
    clearInterval(this.timer);
  }

  close() {
    this.stop();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #blocks(from, to) {
    let text = "";
    for (let id = from; id <= to; id++) text += `id: ${id}\ndata: event ${id}\n\n`;
    return text;
  }
}

/** `serve` in its own process. */
export class Instance {
  exits = [];
  #child;
  #isWanted = false;

  constructor(name, { backend, redis, route = SHARED }) {
    this.name = name;
    this.setup = { backend, redis, route };
    this.directory = mkdtempSync(join(tmpdir(), "sluice-soak-"));
    this.log = [];
  }

  async start() {
    this.port ??= await freePort();
    const { backend, redis, route } = this.setup;
    const config = join(this.directory, "config");
    mkdirSync(join(config, "routes"), { recursive: true });
    const server = { listen: `127.0.0.1:${this.port}`, admin: false, redis };
    writeFileSync(join(config, "sluice.yaml"), JSON.stringify(server));
    writeFileSync(join(config, "routes/stream.yaml"), JSON.stringify({ ...route, upstream: backend }));
    const child = spawn(process.execPath, [MAIN, "serve", "--config", config], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.#isWanted = true;
    let isReady = false;
    let rest = "";
    child.stdout.on("data", (bytes) => {
      const lines = (rest + bytes).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.includes('"ready"') || line.includes('"listening"')) isReady = true;
        if (line.includes("shared stream opened")) this.openedAt = performance.now();
        this.log.push(line);
      }
      this.log.splice(0, this.log.length - 2000);
    });
    child.stderr.on("data", (bytes) => this.log.push(String(bytes)));
    child.on("exit", (code, signal) => {
      if (this.#isWanted) this.exits.push({ name: this.name, code, signal });
    });
    await until(() => isReady || child.exitCode !== null, `${this.name} to listen`, 60_000);
  }

  get pid() {
    return this.#child.pid;
  }

  async kill() {
    this.#isWanted = false;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
    this.openedAt = undefined;
  }

  signal(name) {
    this.#child.kill(name);
  }

  async close() {
    if (this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null) {
      await this.kill();
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/**
 * A client that reads the stream, reconnects to any instance with its last id, and compares each id with the last.
 */
export class Client {
  last = 0;
  events = 0;
  lost = 0;
  duplicated = 0;
  /** The number of gap events. */
  gaps = 0;
  /** Events lost or repeated after a gap event. */
  told = 0;
  longestSilenceMs = 0;
  #isTold = false;
  #at = performance.now();

  constructor(instances, first) {
    this.instances = instances;
    this.turn = first;
    this.#connect();
  }

  leave() {
    this.request?.destroy();
  }

  close() {
    this.isClosed = true;
    this.leave();
  }

  /** Starts the measurement of the time without an event. */
  watch() {
    this.longestSilenceMs = 0;
    this.#at = performance.now();
  }

  #connect() {
    if (this.isClosed) return;
    const { port } = this.instances[this.turn % this.instances.length];
    const headers = { Host: "shared", Accept: "text/event-stream" };
    if (this.last > 0) headers["Last-Event-ID"] = this.lastId ?? String(this.last);
    const request = get({ host: "127.0.0.1", port, path: "/stream", headers, agent: false });
    this.request = request;
    let isOver = false;
    const again = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(silence);
      // As behind a load balancer: to the same or another instance.
      this.turn += 1 + Math.floor(Math.random() * this.instances.length);
      setTimeout(() => this.#connect(), 50);
    };
    const silence = setTimeout(() => request.destroy(), 10_000);
    request.on("error", again);
    request.on("close", again);
    request.on("response", (response) => {
      if (response.statusCode !== 200) return request.destroy();
      let rest = "";
      response.setEncoding("latin1");
      response.on("error", () => {});
      response.on("data", (text) => {
        silence.refresh();
        const blocks = (rest + text).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) this.#take(block);
      });
    });
  }

  #take(block) {
    if (block.includes("event: sluice.gap")) {
      this.gaps += 1;
      this.#isTold = true;
      const [, id] = /^id: ?(.*)$/m.exec(block) ?? [];
      if (id !== undefined) this.lastId = id;
      return;
    }
    const [, text] = /^data: event (\d+)$/m.exec(block) ?? [];
    if (text === undefined) return;
    const id = Number(text);
    const now = performance.now();
    this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#at);
    this.#at = now;
    this.events += 1;
    this.lastId = undefined;
    if (this.last > 0 && id !== this.last + 1) this.#count(id);
    // After a gap the stream may continue with earlier events; counting restarts there.
    this.last = this.#isTold ? id : Math.max(this.last, id);
    this.#isTold = false;
  }

  #count(id) {
    const events = Math.abs(id - this.last - 1);
    if (this.#isTold) this.told += events;
    else if (id > this.last) this.lost += events;
    else this.duplicated += 1;
  }
}

/** A redis-server that can be restarted on the same port. */
export class RedisProcess {
  #child;

  constructor({ appendOnly, options = [] }) {
    this.appendOnly = appendOnly;
    this.options = options;
    this.directory = mkdtempSync(join(tmpdir(), "sluice-soak-redis-"));
  }

  /** `more` are options of this start only. */
  async start(more = []) {
    this.port ??= await freePort();
    const own = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.directory, "--save", ""];
    const aof = ["--appendonly", this.appendOnly ? "yes" : "no", "--appendfsync", "everysec"];
    const child = spawn(REDIS, [...own, ...aof, ...this.options, ...more], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    let output = "";
    child.stdout.on("data", (bytes) => {
      output = (output + bytes).slice(-10_000);
    });
    await until(() => output.includes("Ready to accept") || child.exitCode !== null, "redis-server", 60_000);
    if (child.exitCode !== null) throw new Error(`redis-server did not start:\n${output}`);
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  signal(name) {
    this.#child.kill(name);
  }

  async kill({ empty = false } = {}) {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await gone;
    }
    // A cluster's node keeps its identity in the same directory.
    if (empty) rmSync(join(this.directory, "appendonlydir"), { recursive: true, force: true });
  }

  /** Sends an inline command; resolves with the first line of the reply. */
  async command(text) {
    const socket = connect(this.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`${text}\r\n`);
    const [bytes] = await once(socket, "data");
    socket.destroy();
    return String(bytes).split("\r\n")[0];
  }

  async close() {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/**
 * A network that can be lost; tests have theirs in test/support/tcp-proxy.ts, which a soak cannot load on every
 * Node.
 */
export class Network {
  isCut = false;
  #sockets = new Set();
  #server = createTcpServer((near) => {
    if (this.isCut) return near.resetAndDestroy();
    const far = connect(this.target, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on("data", (bytes) => to.write(bytes));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  });

  async listen(target) {
    this.target = target;
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `redis://127.0.0.1:${this.#server.address().port}`;
  }

  /** `isSilent`: connections stay open without data. */
  cut(isSilent = false) {
    this.isCut = true;
    for (const socket of this.#sockets) isSilent ? socket.pause() : socket.resetAndDestroy();
  }

  heal() {
    this.isCut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  close() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

export const percentile = (values, share) =>
  Math.round(values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? 0);

/** Returns the sums of the clients' counts. */
export const tally = (clients) => {
  const sum = (name) => clients.reduce((total, client) => total + client[name], 0);
  return {
    events: sum("events"),
    lost: sum("lost"),
    duplicated: sum("duplicated"),
    gaps: sum("gaps"),
    told: sum("told"),
  };
};
