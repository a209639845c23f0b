import { type Carried, whatItCarries } from "./carries.ts";
import type { Configuration } from "./configuration.ts";
import type { Level } from "./level.ts";
import { FAMILIES, findTarget, type Target } from "./target.ts";

/** A location that proxies its requests to a backend. */
export interface ProxiedLocation extends Carried {
  /** The location. */
  readonly location: Level;
  /** The level with the `…_pass`: the location, or an `if` or `limit_except` inside it. */
  readonly level: Level;
  /** Undefined for a fragment without a server. */
  readonly server: Level | undefined;
  readonly target: Target;
}

/** The maximum number of proxied locations of one configuration; the rest is ignored. */
const MAX_PROXIED = 20_000;

/** Returns every proxied location in file order; `isStream` tells which are known to carry streams. */
export function proxiedLocations(
  configuration: Configuration,
  isStream: (location: Level, target: Target) => boolean = () => false,
): ProxiedLocation[] {
  const found: ProxiedLocation[] = [];
  for (const location of configuration.main.inward()) {
    if (location.kind !== "location") continue;
    for (const level of passingLevels(location)) {
      const target = findTarget(level, configuration);
      if (target === undefined) continue;
      const carried = whatItCarries(location, target.family, isStream(location, target));
      if (found.length >= MAX_PROXIED) return found;
      found.push({ location, level, server: location.nearest("server"), target, ...carried });
    }
  }
  return found;
}

const hasPass = (level: Level): boolean => level.directives.some(({ name }) => PASSES.has(name));

const PASSES: ReadonlySet<string> = new Set(FAMILIES.map((family) => `${family}_pass`));

/** Returns the location itself and its inner blocks, if they have a `…_pass` of their own. */
function passingLevels(location: Level): Level[] {
  const inner = location.levels.filter(({ kind }) => kind === "if" || kind === "limit_except");
  return [location, ...inner].filter(hasPass);
}
