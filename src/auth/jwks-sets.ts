import { ConfigError, type Problem } from "../config/problem.ts";
import type { RouteConfig } from "../config/route-schema.ts";
import type { Log } from "../observe/log.ts";
import { Jwks, reasonOf } from "./jwks.ts";

/** The key sets of a configuration: one for each place, which any number of routes may name. */
export class JwksSets {
  readonly #log: Log;
  readonly #sets = new Map<string, Jwks>();
  /** The sets whose keys have been fetched. */
  readonly #started = new Set<Jwks>();

  constructor(log: Log) {
    this.#log = log;
  }

  at(place: string): Jwks {
    const known = this.#sets.get(place);
    if (known !== undefined) return known;
    const jwks = new Jwks(place, this.#log);
    this.#sets.set(place, jwks);
    return jwks;
  }

  /** Fetches every new set; rejects with a ConfigError that names the routes whose keys cannot be fetched. */
  async start(routes: readonly RouteConfig[]): Promise<void> {
    const faults = new Map<string, string>();
    const missing = [...this.#sets.values()].filter((jwks) => !this.#started.has(jwks));
    await Promise.all(
      missing.map(async (jwks) => {
        await jwks.start().then(
          () => this.#started.add(jwks),
          (error: unknown) => faults.set(jwks.place, reasonOf(error)),
        );
      }),
    );
    const problems = routes.flatMap(({ name, file, auth }): Problem[] => {
      const fault = faults.get(auth?.jwt?.jwks ?? "");
      if (fault === undefined) return [];
      const message = `cannot get the keys: ${fault}`;
      return [{ file: file ?? name, at: undefined, key: "auth.jwt.jwks", message }];
    });
    if (problems.length > 0) throw new ConfigError(problems);
  }

  /** Closes the sets that no route names. */
  keep(routes: readonly RouteConfig[]): void {
    const places = new Set(routes.map(({ auth }) => auth?.jwt?.jwks));
    for (const [place, jwks] of this.#sets) {
      if (places.has(place)) continue;
      jwks.close();
      this.#sets.delete(place);
      this.#started.delete(jwks);
    }
  }

  close(): void {
    this.keep([]);
  }
}
