import type { Log } from "../observe/log.ts";
import type { SharedRoute } from "./shared-route.ts";

/** The facts of a channel that each of its log lines has. */
interface LoggedChannel {
  readonly route: SharedRoute;
  readonly size: number;
}

/** Writes the log lines of one channel. */
export class ChannelLog {
  readonly #log: Log;
  /** A hash of the channel's key. */
  readonly #name: string;
  readonly #channel: LoggedChannel;
  readonly #openedAt = performance.now();

  constructor(log: Log, name: string, channel: LoggedChannel) {
    this.#log = log;
    this.#name = name;
    this.#channel = channel;
  }

  write(level: "info" | "warn", facts: Record<string, unknown>, message: string): void {
    const { route, size } = this.#channel;
    const durationMs = Math.round(performance.now() - this.#openedAt);
    const own = {
      route: route.config.name,
      stage: route.environment,
      channel: this.#name,
      clients: size,
      durationMs,
    };
    this.#log[level]({ ...own, ...facts }, message);
  }
}
