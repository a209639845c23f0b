import { isDeepStrictEqual } from "node:util";
import type { ServerConfig } from "../config/server-schema.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { Listener } from "./listener.ts";

/** Open addresses that are ready to replace the present ones. The caller calls exactly one method, once. */
export interface PreparedListeners {
  commit(): void;
  /** Closes the addresses that were opened for it. */
  discard(): void;
}

/** The listeners of a gateway. */
export class Listeners {
  readonly #runtime: Runtime;
  #open: readonly Listener[] = [];
  /** The listeners that a reload has removed, until their last connection is closed. */
  readonly #leaving = new Set<Listener>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** The addresses in the order of the configuration, with the ports that the system chose for port 0. */
  get names(): readonly string[] {
    return this.#open.map(({ name }) => name);
  }

  /**
   * Opens every address of a configuration that is not open yet. If one fails, closes the others and rejects with the
   * system's error. An address that stays keeps its socket, so no connection is refused during the change.
   */
  async prepare(server: ServerConfig): Promise<PreparedListeners> {
    const rest = [...this.#open];
    const chosen = server.listen.map((listen) => {
      const at = rest.findIndex(({ address }) => isDeepStrictEqual(address, listen.address));
      const [kept] = at < 0 ? [] : rest.splice(at, 1);
      return kept ?? new Listener(listen, server, this.#runtime);
    });
    const added = chosen.filter((listener) => !this.#open.includes(listener));
    const discard = () => {
      for (const listener of added) {
        void listener.close();
        listener.closeAllConnections();
      }
    };
    const opened = await Promise.allSettled(added.map((listener) => listener.listen()));
    const failed = opened.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      discard();
      throw failed.reason;
    }
    return {
      commit: () => this.#replace(chosen, rest, server),
      discard,
    };
  }

  /** Accepts no more connections, closes idle ones, and resolves when the last one is closed. */
  async close(): Promise<void> {
    await Promise.all([...this.#all()].map((listener) => listener.close()));
  }

  closeAllConnections(): void {
    for (const listener of this.#all()) listener.closeAllConnections();
  }

  *#all(): Iterable<Listener> {
    yield* this.#open;
    yield* this.#leaving;
  }

  #replace(chosen: readonly Listener[], removed: readonly Listener[], server: ServerConfig): void {
    this.#open = chosen;
    server.listen.forEach((listen, at) => {
      chosen[at]?.apply(listen, server);
    });
    for (const listener of removed) {
      this.#leaving.add(listener);
      // Its connections stay open: their routes may not have changed.
      void listener.close().then(() => this.#leaving.delete(listener));
    }
  }
}
