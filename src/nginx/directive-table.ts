import { readFileSync } from "node:fs";
import { type NginxVersion, parseVersion } from "./version.ts";

/** A directive of one module; several modules may have a directive of the same name. */
export interface DirectiveType {
  readonly module: string;
  /** The blocks that allow it, such as `http` or `if in location`; empty if the source does not tell. */
  readonly contexts: readonly string[];
  /** The number of arguments in nginx's own words: `flag`, `noargs`, `take12`, `1more`, `block`. */
  readonly args: readonly string[];
  /** The first version that has it; undefined if it is older than the documentation. */
  readonly since: NginxVersion | undefined;
  /** The default in nginx 1.31.5; undefined without a default. */
  readonly initial: string | undefined;
}

let table: ReadonlyMap<string, readonly DirectiveType[]> | undefined;

/** Returns every directive of nginx's own modules by name; the first call reads the table from the package. */
export function directiveTable(): ReadonlyMap<string, readonly DirectiveType[]> {
  table ??= readTable(readFileSync(new URL("./data/directives.tsv", import.meta.url), "utf8"));
  return table;
}

function readTable(text: string): Map<string, DirectiveType[]> {
  const types = new Map<string, DirectiveType[]>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [name = "", module = "", contexts = "", args = "", since = "", initial = ""] = line.split("\t");
    const type: DirectiveType = {
      module,
      contexts: contexts === "" ? [] : contexts.split(","),
      args: args.split(","),
      since: parseVersion(since),
      initial: initial === "" ? undefined : initial,
    };
    types.set(name, [...(types.get(name) ?? []), type]);
  }
  return types;
}

/** Returns the default of a directive of the http modules; undefined without a default. */
export function initialValue(name: string): string | undefined {
  const types = directiveTable().get(name) ?? [];
  return (types.find(({ module }) => module.startsWith("http_")) ?? types[0])?.initial;
}
