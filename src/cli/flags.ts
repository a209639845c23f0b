import { parseArgs } from "node:util";
import { suggestion } from "../config/nearest.ts";
import { UsageError } from "./command.ts";

/** The flags of a command: `one` for a flag with a value, `many` if it may be repeated, `none` for a switch. */
export type FlagSpec = Readonly<Record<string, "one" | "many" | "none">>;

/** The given flags, by name without dashes, and the other arguments. */
export interface ParsedFlags {
  one(name: string): string | undefined;
  many(name: string): readonly string[];
  has(name: string): boolean;
  readonly words: readonly string[];
}

/**
 * Parses a command line. `maxWords` bounds the arguments that are not flags; `letters` are short flags with the names
 * that they stand for. Throws UsageError, for an unknown flag with the nearest known name.
 */
export function parseFlags(
  args: readonly string[],
  spec: FlagSpec,
  maxWords = 0,
  letters: Readonly<Record<string, string>> = {},
): ParsedFlags {
  const known: FlagSpec = { ...spec, help: "none" };
  const options = Object.fromEntries(
    Object.entries(known).map(([name, takes]) => [
      name,
      {
        type: takes === "none" ? ("boolean" as const) : ("string" as const),
        multiple: true,
        ...letterOf(name, letters),
      },
    ]),
  );
  // Not strict: the errors of `parseArgs` do not name the nearest flag.
  const { tokens, positionals } = parseArgs({
    args,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const value = checkOption(token, known, letters);
    if (known[token.name] !== "many" && values.has(token.name))
      throw new UsageError(`${token.rawName} is given twice`);
    values.set(token.name, [...(values.get(token.name) ?? []), value]);
  }
  const extra = positionals[maxWords];
  if (extra !== undefined) throw new UsageError(`unexpected argument ${extra}`);
  return {
    one: (name) => values.get(name)?.[0],
    many: (name) => values.get(name) ?? [],
    has: (name) => values.has(name),
    words: positionals,
  };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

/** The names that other programs give to a flag. */
const FLAGS_ELSEWHERE: Readonly<Record<string, string>> = {
  bind: "listen",
  from: "listen",
  port: "listen",
  backend: "to",
  target: "to",
  upstream: "to",
  conf: "config",
  file: "config",
};

/** Returns the option of `parseArgs` for a flag's letter, if it has one. */
function letterOf(name: string, letters: Readonly<Record<string, string>>): { short?: string } {
  const letter = Object.keys(letters).find((key) => letters[key] === name);
  return letter === undefined ? {} : { short: letter };
}

function checkOption(
  { name, rawName, value, inlineValue }: OptionToken,
  known: FlagSpec,
  letters: Readonly<Record<string, string>>,
): string {
  const takes = Object.hasOwn(known, name) ? known[name] : undefined;
  const isKnown = rawName.startsWith("--") || Object.hasOwn(letters, rawName.slice(1));
  if (takes === undefined || !isKnown) {
    const other = FLAGS_ELSEWHERE[name];
    const meant = other !== undefined && Object.hasOwn(known, other) ? `; did you mean ${other}?` : undefined;
    const hint = (meant ?? suggestion(name, Object.keys(known))).replace("did you mean ", "did you mean --");
    throw new UsageError(`unknown flag ${rawName}${hint}`);
  }
  if (takes === "none") {
    if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    return "";
  }
  // In `--listen --to URL`, the value of --listen is missing.
  if (value === undefined || value === "" || (inlineValue !== true && value.startsWith("-"))) {
    throw new UsageError(`${rawName} needs a value`);
  }
  return value;
}
