import { type Carried, whatItCarries } from "./carries.ts";
import type { Configuration } from "./configuration.ts";
import type { Level } from "./level.ts";
import { FAMILIES, findTarget, type Target } from "./target.ts";

/** A location whose requests go to a backend. */
export interface ProxiedLocation extends Carried {
  /** The location. */
  readonly location: Level;
  /** The location, or the `if` or `limit_except` inside it that has the `…_pass`. */
  readonly level: Level;
  /** Undefined for a fragment that shows no server. */
  readonly server: Level | undefined;
  readonly target: Target;
}

/** More proxied locations than any configuration has; the rest is not looked at. */
const MAX_PROXIED = 20_000;

/** Every location that proxies, in the order of the text; `isStream` names those known to carry streams. */
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

/** The location itself, and blocks inside it with a target of their own. */
function passingLevels(location: Level): Level[] {
  const inner = location.levels.filter(({ kind }) => kind === "if" || kind === "limit_except");
  return [location, ...inner].filter(hasPass);
}
