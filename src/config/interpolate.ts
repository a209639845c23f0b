import type { Path } from "./yaml-file.ts";

/** The environment that variables come from. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A value with its variables filled in. */
export interface Interpolated {
  readonly value: unknown;
  readonly problems: readonly { readonly path: Path; readonly message: string }[];
  /** The scalars that consist of one variable and nothing else. */
  readonly wholes: readonly Path[];
}

const NAME = "[A-Za-z_][A-Za-z0-9_]*";
const REFERENCE = new RegExp(`^(?<name>${NAME})(?::-(?<fallback>.*))?$`, "s");
const WHOLE = /^\$\{[^}]*\}$/;

/**
 * Fills in `${NAME}` and `${NAME:-default}` in every text of a parsed file; `$${` stands for `${`.
 *
 * The default is for a variable that is not set or empty, as in a shell. Because the file was parsed before,
 * what a variable holds can never add a key. It is a text; where a number or a boolean is expected and the
 * scalar is one variable and nothing else, `validate` reads it as one.
 */
export function interpolate(value: unknown, env: Env): Interpolated {
  const problems: { path: Path; message: string }[] = [];
  const wholes: Path[] = [];
  const visit = (node: unknown, path: Path): unknown => {
    if (typeof node === "string") {
      if (WHOLE.test(node)) wholes.push(path);
      return fill(node, env, (message) => problems.push({ path, message }));
    }
    if (Array.isArray(node)) return node.map((item, index) => visit(item, [...path, index]));
    if (typeof node !== "object" || node === null) return node;
    return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, visit(item, [...path, key])]));
  };
  return { value: visit(value, []), problems, wholes };
}

function fill(text: string, env: Env, report: (message: string) => void): string {
  return text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (whole, inner: string | undefined, end: string) => {
    if (inner === undefined) return "${";
    const parts = REFERENCE.exec(inner)?.groups;
    const name = parts?.["name"];
    if (name === undefined || end === "") {
      report(`expected \${NAME} or \${NAME:-default}; a plain \${ is written $\${`);
      return whole;
    }
    const fallback = parts?.["fallback"];
    // Own properties only: `${constructor}` names no variable.
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (fallback !== undefined && (value === undefined || value === "")) return fallback;
    if (value === undefined) {
      report(`the environment variable ${name} is not set; \${${name}:-default} would give it a default`);
      return whole;
    }
    return value;
  });
}
