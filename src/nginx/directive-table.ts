import { readFileSync } from "node:fs";
import { type NginxVersion, parseVersion } from "./version.ts";

/** A directive of one module; one name may belong to several. */
export interface DirectiveType {
  readonly module: string;
  /** The blocks it may stand in, such as `http` or `if in location`; empty where the source does not say. */
  readonly contexts: readonly string[];
  /** nginx's own words for how many arguments it takes: `flag`, `noargs`, `take12`, `1more`, `block`. */
  readonly args: readonly string[];
  /** The version that brought it; undefined when it is older than the documentation. */
  readonly since: NginxVersion | undefined;
  /** Its default in nginx 1.31.5; undefined when it has none. */
  readonly initial: string | undefined;
}

let table: ReadonlyMap<string, readonly DirectiveType[]> | undefined;

/** Every directive of nginx's own modules by name, read from the package on first use. */
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

/** The default of a directive of the http modules; undefined when it has none. */
export function initialValue(name: string): string | undefined {
  const types = directiveTable().get(name) ?? [];
  return (types.find(({ module }) => module.startsWith("http_")) ?? types[0])?.initial;
}
