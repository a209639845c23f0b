import { execFile } from "node:child_process";
import { visibleText } from "../base/visible-text.ts";
import type { Log } from "../observe/log.ts";

/** The program of systemd that sends a message: Node has no unix datagram sockets. */
const PROGRAM = "systemd-notify";

/** How long, in ms, it may take; it waits until systemd has read the message. */
const TIMEOUT_MS = 5_000;

/** The longest status, in characters. */
const MAX_STATUS = 500;

/**
 * Tells systemd what the process does (sd_notify(3)): when it serves, reloads and stops, and at half of the watchdog's
 * time that its event loop is alive. Does nothing where systemd does not ask for it (`NOTIFY_SOCKET`).
 */
export class ServiceManager {
  readonly #isThere: boolean;
  readonly #log: Log;
  readonly #watchdogMs: number;
  /** The messages under way and those that wait for them: they must arrive in order. */
  #sent = Promise.resolve();
  #isBeating = false;
  #hasFailed = false;

  constructor(env: NodeJS.ProcessEnv, log: Log) {
    this.#isThere = Boolean(env["NOTIFY_SOCKET"]);
    this.#log = log;
    // systemd may mean another process of the service (sd_watchdog_enabled(3)).
    const isMeant = (env["WATCHDOG_PID"] ?? `${process.pid}`) === `${process.pid}`;
    this.#watchdogMs = isMeant ? Number(env["WATCHDOG_USEC"] ?? 0) / 1_000 : 0;
  }

  /** Reports that the gateway serves, and begins with the watchdog's messages. */
  started(addresses: readonly string[]): void {
    this.#send("READY=1", status(`serving on ${addresses.join(", ")}`));
    // On the event loop: if that stands still, no message comes.
    if (this.#watchdogMs > 0) setInterval(() => this.#beat(), this.#watchdogMs / 2).unref();
  }

  /** Reports that a reload begins; `reloaded` or `kept` must follow. */
  reloading(): void {
    // The clock of CLOCK_MONOTONIC, in microseconds.
    this.#send("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`);
  }

  reloaded(): void {
    this.#send("READY=1", status(`reloaded at ${now()}`));
  }

  /** Reports that a new configuration was rejected, with its first problem. */
  kept(problem: string): void {
    this.#send("READY=1", status(`configuration rejected at ${now()}, the current one is kept: ${problem}`));
  }

  /** Reports that the gateway drains; resolves when systemd has read it, which must be before the process ends. */
  stopping(): Promise<void> {
    this.#send("STOPPING=1", status("draining"));
    return this.#sent;
  }

  #beat(): void {
    if (this.#isBeating) return;
    this.#isBeating = true;
    this.#send("WATCHDOG=1");
    void this.#sent.then(() => {
      this.#isBeating = false;
    });
  }

  #send(...assignments: readonly string[]): void {
    if (this.#isThere) this.#sent = this.#sent.then(() => this.#run(assignments));
  }

  #run(assignments: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      execFile(PROGRAM, assignments, { timeout: TIMEOUT_MS }, (error) => {
        if (error !== null) this.#warn(error);
        resolve();
      });
    });
  }

  #warn(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.warn({ err: error }, "systemd was not told of a change: systemd-notify failed");
  }
}

/** A line feed would begin another assignment. */
const status = (text: string): string =>
  `STATUS=${visibleText(text.slice(0, MAX_STATUS)).replace(/\s+/g, " ")}`;

const now = (): string => new Date().toISOString();
