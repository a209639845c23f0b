import { DueTimer } from "../base/due-timer.ts";
import { jitter } from "../base/jitter.ts";
import type { HealthCheckConfig } from "../config/upstream-schema.ts";
import type { Log } from "../observe/log.ts";
import type { Backend } from "./backend.ts";
import type { UpstreamOwner } from "./upstream-owner.ts";

/** The part of the interval within which the first checks are spread: soon, and not all at once. */
const FIRST_CHECK_PART = 0.2;

/**
 * Checks the backends of one upstream at each `healthCheck.interval`.
 *
 * A backend is healthy until `unhealthy` checks in a row have failed, and then unhealthy until `healthy` checks in a
 * row have succeeded. Each change is logged once.
 */
export class ActiveHealth {
  readonly #config: HealthCheckConfig;
  /** The route's name, for the log. */
  readonly #name: string;
  readonly #log: Log;
  readonly #loops: UpstreamOwner["loops"];
  readonly #checks: readonly Check[];
  #isClosed = false;

  constructor(backends: readonly Backend[], config: HealthCheckConfig, { name, log, loops }: UpstreamOwner) {
    this.#config = config;
    this.#name = name;
    this.#log = log;
    this.#loops = loops;
    this.#checks = backends.map((backend) => ({ backend, streak: 0, timer: undefined }));
    for (const check of this.#checks) this.#plan(check, Math.random() * FIRST_CHECK_PART * config.interval);
  }

  /** Stops the checks; a response that comes later changes nothing. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#checks) clearTimeout(timer);
  }

  /** Plans the next check of a backend. It begins after the last one has ended, so there is one at a time. */
  #plan(check: Check, delayMs: number): void {
    check.timer = setTimeout(async () => {
      const fault = await probe(check.backend, this.#config, (fields) => this.#marked(fields));
      if (this.#isClosed) return;
      this.#note(check, fault);
      this.#plan(check, jitter(this.#config.interval));
    }, delayMs);
    // A gateway that never listens must not keep its process running.
    check.timer.unref();
  }

  /** Adds the loop mark: a check that came back to this gateway would cause another check, and so on. */
  #marked(fields: readonly string[]): string[] {
    const marked = [...fields];
    this.#loops.mark(marked, [], { route: this.#name, method: "GET", target: this.#config.path });
    return marked;
  }

  #note(check: Check, fault: string | undefined): void {
    const { backend } = check;
    const facts = { route: this.#name, backend: backend.url };
    const isGood = fault === undefined;
    if (isGood) backend.record.works();
    else backend.record.fails(fault);
    check.streak = isGood === backend.isHealthy ? 0 : check.streak + 1;
    const needed = isGood ? this.#config.healthy : this.#config.unhealthy;
    if (check.streak < needed) return;
    check.streak = 0;
    backend.isHealthy = isGood;
    if (!isGood) {
      this.#log.warn({ ...facts, reason: fault }, "backend is unhealthy");
      return;
    }
    // The backend works again: requests need not wait for the end of `failTimeout`.
    backend.passive.letTry();
    this.#log.info(facts, "backend is healthy");
  }
}

interface Check {
  readonly backend: Backend;
  /** Results in a row that contradict the present state. */
  streak: number;
  timer: NodeJS.Timeout | undefined;
}

/** Sends one check; resolves with the problem, or undefined if there is none. Never rejects. */
function probe(
  backend: Backend,
  { path, timeout }: HealthCheckConfig,
  marked: (fields: readonly string[]) => string[],
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const fields = marked(["Host", backend.address.authority, "User-Agent", "sluice health check"]);
    const request = backend.request("GET", path, fields);
    const timer = new DueTimer(timeout, () => {
      resolve(`no response within ${timeout} ms`);
      request.destroy();
    });
    request.once("response", (response) => {
      const { statusCode = 0 } = response;
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `status ${statusCode}`);
      // The timer bounds the body too: if the checked path is an event stream, the request must not stay open.
      response.on("error", () => {});
      response.resume();
    });
    request.on("upgrade", (_response, socket) => {
      socket.destroy();
      resolve("an upgrade that was not requested");
    });
    request.on("error", (error) => resolve(error.message));
    request.once("close", () => timer.clear());
    request.end();
  });
}
