import type { Path } from "./yaml-file.ts";

/** The environment variables. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A value with its variables filled in. */
export interface Interpolated {
  readonly value: unknown;
  readonly problems: readonly { readonly path: Path; readonly message: string }[];
  /** The paths of the scalars that consist of a single variable. */
  readonly wholes: readonly Path[];
  /** The variables from whose values a scalar was made. */
  readonly used: readonly UsedVariable[];
}

export interface UsedVariable {
  readonly path: Path;
  readonly name: string;
  readonly isEmpty: boolean;
}

const NAME = "[A-Za-z_][A-Za-z0-9_]*";
const REFERENCE = new RegExp(`^(?<name>${NAME})(?::-(?<fallback>.*))?$`, "s");
const WHOLE = /^\$\{[^}]*\}$/;

/**
 * Fills in `${NAME}` and `${NAME:-default}` in every text of a parsed file; `$${` stands for `${`.
 *
 * The default applies to a variable that is not set or empty, as in a shell. The file has been parsed before, so the value
 * of a variable can never add a key. The value is a text; `validate` converts it where the schema expects a number or a
 * boolean and the scalar consists of that single variable.
 */
export function interpolate(value: unknown, env: Env): Interpolated {
  const problems: { path: Path; message: string }[] = [];
  const wholes: Path[] = [];
  const used: UsedVariable[] = [];
  const visit = (node: unknown, path: Path): unknown => {
    if (typeof node === "string") {
      if (WHOLE.test(node)) wholes.push(path);
      return fill(node, env, {
        report: (message) => problems.push({ path, message }),
        use: (name, isEmpty) => used.push({ path, name, isEmpty }),
      });
    }
    if (Array.isArray(node)) return node.map((item, index) => visit(item, [...path, index]));
    if (typeof node !== "object" || node === null) return node;
    return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, visit(item, [...path, key])]));
  };
  return { value: visit(value, []), problems, wholes, used };
}

interface FillEvents {
  report(message: string): void;
  use(name: string, isEmpty: boolean): void;
}

function fill(text: string, env: Env, { report, use }: FillEvents): string {
  return text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (whole, inner: string | undefined, end: string) => {
    if (inner === undefined) return "${";
    const parts = REFERENCE.exec(inner)?.groups;
    const name = parts?.["name"];
    if (name === undefined || end === "") {
      report(`expected \${NAME} or \${NAME:-default}; a plain \${ is written $\${`);
      return whole;
    }
    const fallback = parts?.["fallback"];
    // Own properties only: `${constructor}` is not a variable.
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (fallback !== undefined && (value === undefined || value === "")) return fallback;
    if (value === undefined) {
      report(`the environment variable ${name} is not set; \${${name}:-default} would give it a default`);
      return whole;
    }
    use(name, value === "");
    return value;
  });
}
