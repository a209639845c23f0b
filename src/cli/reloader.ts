import { isDeepStrictEqual } from "node:util";
import type { Loaded } from "../config/load.ts";
import { ConfigError, formatProblem, type Problem } from "../config/problem.ts";
import type { Config } from "../config/server-schema.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Log } from "../observe/log.ts";
import { listenProblem } from "./listen-problem.ts";
import { logWarnings } from "./log-warnings.ts";
import type { ServiceManager } from "./service-manager.ts";

export interface ReloaderSetup {
  readonly gateway: Pick<Gateway, "reload" | "rejected">;
  /** The current configuration of the gateway. */
  readonly config: Config;
  readonly log: Log;
  readonly service: Pick<ServiceManager, "reloading" | "reloaded" | "kept">;
  /** Reads the configuration again. */
  load(): Loaded;
  /** The file and key that problems of an address name. */
  readonly listenKey: Pick<Problem, "file" | "key">;
}

/**
 * Reloads a running gateway with a changed configuration, or logs the problems and keeps the current one.
 *
 * One reload runs at a time; requests during a reload result in one further reload.
 */
export class Reloader {
  readonly #setup: ReloaderSetup;
  #config: Config;
  #running: Promise<void> | undefined;
  #isAskedAgain = false;
  /** The problems that were logged last, so that they are logged once while they do not change. */
  #logged: readonly string[] = [];

  constructor(setup: ReloaderSetup) {
    this.#setup = setup;
    this.#config = setup.config;
  }

  /** `isForced` reloads and logs the result even if nothing has changed, because a user sent SIGHUP. */
  async reload({ isForced }: { readonly isForced: boolean }): Promise<void> {
    if (this.#running !== undefined) {
      this.#isAskedAgain = true;
      return await this.#running;
    }
    this.#running = this.#reloadAll(isForced);
    await this.#running;
    this.#running = undefined;
  }

  async #reloadAll(isForced: boolean): Promise<void> {
    do {
      this.#isAskedAgain = false;
      await this.#reloadOnce(isForced);
    } while (this.#isAskedAgain);
  }

  async #reloadOnce(isForced: boolean): Promise<void> {
    const { gateway, log, load, service } = this.#setup;
    const loaded = load();
    if ("problems" in loaded) {
      // Counted here, because the gateway does not get this configuration.
      if (!this.#reject(loaded.problems, isForced)) return;
      gateway.rejected(loaded.problems.map(formatProblem));
      service.reloading();
      service.kept(firstOf(loaded.problems));
      return;
    }
    const { config } = loaded;
    // After a rejection, an unchanged configuration is reloaded too: otherwise metrics and the dashboard would still
    // report the rejected one.
    if (!isForced && this.#logged.length === 0 && isDeepStrictEqual(config, this.#config)) return;
    service.reloading();
    try {
      await gateway.reload(config);
      service.reloaded();
      this.#logged = [];
      logWarnings(config, log);
      this.#noteStale(config);
      this.#config = config;
      log.level = config.server.log.level;
    } catch (error) {
      const problems = problemsOf(error, this.#setup.listenKey);
      if (problems === undefined) log.error({ code: "config_rejected", err: error }, REJECTED);
      else this.#reject(problems, isForced);
      service.kept(problems === undefined ? String(error) : firstOf(problems));
    }
  }

  /** Logs the problems; returns false if they were logged the last time and the reload is not forced. */
  #reject(problems: readonly Problem[], isForced: boolean): boolean {
    const texts = problems.map(formatProblem);
    if (!isForced && isDeepStrictEqual(texts, this.#logged)) return false;
    this.#logged = texts;
    this.#setup.log.error({ code: "config_rejected", problems: texts }, REJECTED);
    return true;
  }

  #noteStale({ server }: Config): void {
    const before = this.#config.server;
    const keys: string[] = STARTUP_KEYS.filter((key) => !isDeepStrictEqual(server[key], before[key]));
    if (server.log.format !== before.log.format) keys.push("log.format");
    if (keys.length > 0) this.#setup.log.warn({ keys }, "changes of these keys need a restart");
  }
}

/** Keys whose values are used only at the start. */
const STARTUP_KEYS = ["admin", "adminToken", "redis", "workers"] as const;

const REJECTED = "config rejected: the current one is kept";

function firstOf([first]: readonly Problem[]): string {
  return first === undefined ? "" : formatProblem(first);
}

function problemsOf(
  error: unknown,
  listenKey: Pick<Problem, "file" | "key">,
): readonly Problem[] | undefined {
  if (error instanceof ConfigError) return error.problems;
  const problem = listenProblem(error, listenKey);
  return problem === undefined ? undefined : [problem];
}
