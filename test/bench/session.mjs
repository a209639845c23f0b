import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  freePort,
  jsonLines,
  LOAD_CORE,
  listening,
  memoryKib,
  PROXY_CORE,
  processTree,
  startOn,
  stop,
} from "./processes.mjs";
import { PROXIES, proxyOf } from "./proxies.mjs";

/** The limit of open files of a process here; a proxy needs two for each relayed stream. */
export const OPEN_FILES = Number(
  /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 1024,
);
/** The files of a proxy besides its streams, with a margin. */
const SPARE_FILES = 200;
/** The number of streams that every proxy can relay here. */
export const RELAYED_STREAMS = Math.floor((OPEN_FILES - SPARE_FILES) / 2);

/** A delivery that was lost, repeated, out of order or incomplete: then no figure counts. */
class FaultyDelivery extends Error {}

/** Backend, proxy and load generator of one measurement. */
class Session {
  #backend;
  #proxy;
  #load;
  #answer;
  #pids = [];
  #programs;
  /** The figures measured during the preparation. */
  prepared;
  /** The CPU milliseconds of other processes, and the elapsed milliseconds, over all measured periods. */
  disturbance = { othersMs: 0, wallMs: 0 };

  constructor(programs) {
    this.#programs = programs;
  }

  async start(name, { directory, isShared = false, files = () => ({}), ...options }) {
    const port = await freePort();
    const isWriter = proxyOf(name) === "writer";
    this.#backend = this.#start("backend", [String(port), "/publish"], isWriter ? PROXY_CORE : LOAD_CORE);
    const { port: backend, control } = await jsonLines(this.#backend)();
    // nginx closes idle connections when only a sixteenth of its table is free.
    const limits = { slots: OPEN_FILES * 2, connections: RELAYED_STREAMS };
    const place = { ...options, ...limits, port, backend, directory, isShared, files };
    const proxy = PROXIES[proxyOf(name)];
    const isProxied = proxy !== undefined;
    if (isProxied) await this.#startProxy(proxy(place), place);
    if (isWriter) this.#pids = [this.#backend.pid];
    const ports = [String(isProxied ? port : backend), String(control)];
    const watched = [this.#pids.join(","), String(this.#backend.pid)];
    this.#load = this.#start("load", [...ports, ...watched], LOAD_CORE);
    this.#answer = jsonLines(this.#load);
  }

  #start(name, args, core) {
    const stdio = ["pipe", "pipe", "inherit"];
    return startOn(this.#programs.onCore, core, { command: this.#programs[name], args }, stdio);
  }

  async #startProxy(program, { port, directory }) {
    const path = join(directory, "output.log");
    const log = openSync(path, "w");
    this.#proxy = startOn(this.#programs.onCore, PROXY_CORE, program, ["ignore", log, log]);
    closeSync(log);
    await listening(this.#proxy, port).catch((error) => {
      throw new Error(`${error.message}: ${readFileSync(path, "utf8").trim()}`);
    });
    this.#pids = processTree(this.#proxy.pid);
  }

  /** Runs a command of load.c; throws if an event was lost or repeated, or a connection failed. */
  async run(command) {
    this.#load.stdin.write(`${command}\n`);
    const answer = await this.#answer();
    const faults = Object.entries(answer.faults).filter(([, count]) => count > 0);
    if (faults.length > 0) {
      throw new FaultyDelivery(`${command}: ${faults.map(([what, count]) => `${count} ${what}`).join(", ")}`);
    }
    if (answer.cpuMs !== undefined && answer.seconds > 1) {
      this.disturbance.othersMs += answer.cpuMs.others + answer.cpuMs.stolen;
      this.disturbance.wallMs += answer.seconds * 1000;
    }
    return answer;
  }

  memoryKib() {
    return memoryKib(this.#pids);
  }

  async close() {
    for (const child of [this.#load, this.#proxy, this.#backend]) if (child) await stop(child);
  }
}

/** Starts a proxy with its backend and load, checks its delivery, and prepares the measurement. */
export async function startSession(name, measurement, { directory, programs, ...options }) {
  const session = new Session(programs);
  mkdirSync(directory, { recursive: true });
  const own = mkdtempSync(join(directory, "run-"));
  try {
    const { isShared, files } = measurement;
    await session.start(name, { ...options, directory: own, isShared, files: files?.(name) });
    await measurement.check(session, name);
    session.prepared = await measurement.prepare?.(session, name);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Measures once. Resolves with the figures and the share of a core that other processes used meanwhile. */
export async function measureOnce(session, name, measurement) {
  session.disturbance = { othersMs: 0, wallMs: 0 };
  const figures = { ...session.prepared, ...(await measurement.measure(session, name)) };
  const { othersMs, wallMs } = session.disturbance;
  return { figures, others: wallMs === 0 ? 0 : Math.max(0, othersMs) / wallMs };
}
