import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryDirectory } from "../parts/processes.mjs";
import { LISTENERS, writeConfig } from "./config.mjs";
import { openFiles } from "./files.mjs";
import { GatewayLog } from "./gateway-log.mjs";

/** The build to run; a build of another checkout shows the effect of a change. */
const DIST = new URL(process.env.MATRIX_DIST ?? "../../../dist/", import.meta.url);
const INSIDE = new URL("../parts/inside.mjs", import.meta.url).href;
/** A process starts in half a second, and in a minute when every core has many others to run. */
const START_MS = 120_000;
const INSIDE_MS = 30_000;

/** The file of the class Exchange, in any folder. */
function exchangeModule() {
  const found = readdirSync(DIST, { recursive: true }).find((name) => /(?:^|\/)exchange\.js$/.test(name));
  if (found === undefined) throw new Error("dist has no exchange.js: npm run build");
  return new URL(found, DIST).href;
}

const childrenOf = (pid) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);

/** A gateway in its own processes, with everything observable from outside. */
export class Gateway {
  name;
  backend;
  directory;
  /** Its log. */
  log;
  /** The reason of its end; undefined while it runs. */
  exit;
  #child;
  #admin;
  #ports;
  #pids = [];
  #workers;
  #onExit;

  /** `onExit` is called as soon as it ends by itself. */
  constructor(name, backend, workers, onExit) {
    this.#onExit = onExit;
    this.name = name;
    this.backend = backend;
    this.#workers = workers;
  }

  /** Starts the gateway; `node` is the Node binary. */
  async start({ node, redisUrl }) {
    this.directory = temporaryDirectory();
    this.log = new GatewayLog();
    this.exit = undefined;
    const { directory } = this;
    writeConfig(directory, { backendUrl: this.backend.url, workers: this.#workers, redisUrl });
    const env = {
      ...process.env,
      NODE_OPTIONS: `--disable-warning=ExperimentalWarning --import=${INSIDE}`,
      MATRIX_EXCHANGE: exchangeModule(),
      MATRIX_DIRECTORY: directory,
    };
    const main = new URL("cli/main.js", DIST).pathname;
    const child = spawn(node, [main, "serve"], { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    const kill = () => child.kill("SIGKILL");
    process.once("exit", kill);
    this.log.read(child);
    child.once("exit", (code, signal) => {
      process.removeListener("exit", kill);
      if (this.exit === undefined) this.#onExit();
      this.exit ??= { code, signal };
    });
    const deadline = performance.now() + START_MS;
    while (!this.log.isReady) {
      const isLate = performance.now() > deadline;
      if (this.exit !== undefined || isLate)
        throw new Error(`${this.name} did not start: ${this.log.text()}`);
      await sleep(20);
    }
    this.#admin = this.log.adminAddress;
    this.#ports = this.log.addresses.map((address) => Number(/:(\d+)$/.exec(address)?.[1]));
    this.#pids = this.pids();
  }

  /** Returns the address of its listener for a transport, for `net.connect`. */
  placeOf(transport, isTls) {
    const name =
      transport === "tcp" || transport === "tls"
        ? isTls
          ? "tls"
          : "tcp"
        : isTls
          ? `${transport}Tls`
          : transport;
    const at = LISTENERS.indexOf(name);
    if (transport === "unix") return { path: join(this.directory, `${name}.sock`) };
    return { host: "127.0.0.1", port: this.#ports[at] };
  }

  get isUp() {
    return this.exit === undefined;
  }

  /** Its processes: the primary and its workers. */
  pids() {
    if (!this.isUp) return [];
    try {
      return [this.#child.pid, ...childrenOf(this.#child.pid)];
    } catch {
      return [];
    }
  }

  /** Whether the processes are still the original ones. */
  get isSame() {
    return this.isUp && this.pids().join() === this.#pids.join();
  }

  /** Counts the open files of all processes by kind; `peers` names the server at a port. */
  files(peers) {
    return openFiles(this.pids(), new Map([...peers, ...this.#ports.map((port) => [port, "client"])]));
  }

  /**
   * Returns the objects of each process after a garbage collection; `isDeep` also counts the exchanges in its heap.
   */
  async inside(isDeep = false) {
    const wanted = join(this.directory, "deep");
    if (isDeep) writeFileSync(wanted, "");
    else rmSync(wanted, { force: true });
    const pids = this.pids();
    const paths = pids.map((pid) => join(this.directory, `${pid}.json`));
    for (const path of paths) rmSync(path, { force: true });
    for (const pid of pids) process.kill(pid, "SIGUSR2");
    const deadline = performance.now() + INSIDE_MS;
    while (!paths.every((path) => existsSync(path))) {
      if (!this.isSame || performance.now() > deadline) return undefined;
      await sleep(10);
    }
    return paths.map((path) => JSON.parse(readFileSync(path, "utf8")));
  }

  /** Returns the samples of its metrics, by name and labels as written; undefined without a response. */
  async metrics() {
    const text = await this.ask("/metrics");
    if (text === undefined) return undefined;
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(
      lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
    );
  }

  /** Returns the number of streams in the admin listener's list. */
  async listed() {
    const text = await this.ask("/api/streams?limit=5");
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Sends a GET to the admin listener; undefined without a response. */
  ask(path) {
    return new Promise((resolve) => {
      const sent = get(`http://${this.#admin}${path}`, { agent: false, timeout: 15_000 }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (more) => {
          text += more;
        });
        response.once("end", () => resolve(text));
        response.once("error", () => resolve(undefined));
      });
      sent.once("timeout", () => sent.destroy());
      sent.once("error", () => resolve(undefined));
    });
  }

  async stop() {
    if (this.isUp) {
      const exited = once(this.#child, "exit");
      this.exit = { code: null, signal: "SIGKILL" };
      const pids = [this.#child.pid, ...childrenOf(this.#child.pid)];
      for (const pid of pids) process.kill(pid, "SIGKILL");
      await exited;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}
