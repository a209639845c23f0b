import { isDeepStrictEqual } from "node:util";
import type { Loaded } from "../config/load.ts";
import { ConfigError, formatProblem, type Problem } from "../config/problem.ts";
import type { Config } from "../config/server-schema.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Log } from "../observe/log.ts";
import { listenProblem } from "./listen-problem.ts";

export interface ReloaderSetup {
  readonly gateway: Pick<Gateway, "reload" | "rejected">;
  /** What the gateway runs on now. */
  readonly config: Config;
  readonly log: Log;
  /** Reads the configuration anew. */
  load(): Loaded;
  /** Where a problem of an address is to be looked for. */
  readonly listenKey: Pick<Problem, "file" | "key">;
}

/**
 * Brings a changed configuration to a running gateway, or says why not and leaves it as it is.
 *
 * One reload at a time; whatever is asked for meanwhile is one more, which reads what then is there.
 */
export class Reloader {
  readonly #setup: ReloaderSetup;
  #config: Config;
  #running: Promise<void> | undefined;
  #isAskedAgain = false;
  /** The problems that were said last, to say them once while nothing changes. */
  #said: readonly string[] = [];

  constructor(setup: ReloaderSetup) {
    this.#setup = setup;
    this.#config = setup.config;
  }

  /** `isForced`: somebody asked for it and waits for an answer, even if nothing has changed. */
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
    const { gateway, log, load } = this.#setup;
    const loaded = load();
    if ("problems" in loaded) {
      // Counted here, because the gateway never sees it.
      if (this.#reject(loaded.problems, isForced)) gateway.rejected();
      return;
    }
    const { config } = loaded;
    if (!isForced && isDeepStrictEqual(config, this.#config)) {
      this.#said = [];
      return;
    }
    try {
      await gateway.reload(config);
      this.#said = [];
      this.#noteStale(config);
      this.#config = config;
      log.level = config.server.log.level;
    } catch (error) {
      const problems = problemsOf(error, this.#setup.listenKey);
      if (problems === undefined) log.error({ code: "config_rejected", err: error }, REJECTED);
      else this.#reject(problems, isForced);
    }
  }

  /** False when it is what was said the last time, and nobody asked. */
  #reject(problems: readonly Problem[], isForced: boolean): boolean {
    const texts = problems.map(formatProblem);
    if (!isForced && isDeepStrictEqual(texts, this.#said)) return false;
    this.#said = texts;
    this.#setup.log.error({ code: "config_rejected", problems: texts }, REJECTED);
    return true;
  }

  #noteStale({ server }: Config): void {
    const before = this.#config.server;
    const keys: string[] = STARTUP_KEYS.filter((key) => !isDeepStrictEqual(server[key], before[key]));
    if (server.log.format !== before.log.format) keys.push("log.format");
    if (keys.length > 0) this.#setup.log.warn({ keys }, "some settings change with the next start");
  }
}

/** What is made once, before there are listeners. */
const STARTUP_KEYS = ["admin", "adminToken", "redis", "workers"] as const;

const REJECTED = "config rejected: the present one stays";

function problemsOf(
  error: unknown,
  listenKey: Pick<Problem, "file" | "key">,
): readonly Problem[] | undefined {
  if (error instanceof ConfigError) return error.problems;
  const problem = listenProblem(error, listenKey);
  return problem === undefined ? undefined : [problem];
}
