import {
  CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Pair,
  parseAllDocuments,
} from "yaml";
import type { SourcePosition } from "./problem.ts";

/** The places of a key and its value. */
interface Positions {
  readonly key: SourcePosition | undefined;
  readonly value: SourcePosition;
}

export type Path = readonly PropertyKey[];

/** A problem of a text as YAML. */
export interface YamlProblem {
  readonly message: string;
  readonly at: SourcePosition;
  readonly path: Path;
}

/** A YAML text as plain values, with the place of each. */
export interface YamlFile {
  readonly value: unknown;
  /** Returns the key's place, or that of the nearest key above if the file does not have this path. */
  keyPosition(path: Path): SourcePosition;
  /** Returns the value's place, or that of the nearest value above. */
  valuePosition(path: Path): SourcePosition;
}

const START: SourcePosition = { line: 1, column: 1 };

// Bounds above real files: a route file has some fifty values, five levels deep; an apps.yaml of 10,000 apps has 50,000
// values in 300,000 tokens.
const MAX_DEPTH = 32;
const MAX_TOKENS = 500_000;
const MAX_VALUES = 100_000;

/** Keys that would change an object's prototype in code that copies keys. */
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/** The value of a text, if it could be read, and its problems. */
export interface ParsedYaml {
  readonly file: YamlFile | undefined;
  readonly problems: readonly YamlProblem[];
}

/** Reads one YAML 1.2 document; an empty text has the value null. Never throws. */
export function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter();
  const position = (offset: number): SourcePosition => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return line === 0 ? START : { line, column: col };
  };
  const unreadable = ({ message, offset }: SyntaxProblem): ParsedYaml => ({
    file: undefined,
    problems: [{ message, at: position(offset), path: [] }],
  });
  const excess = findExcess(text);
  if (excess !== undefined) {
    // The parser, which would count the lines, does not run.
    for (let start = 0; start >= 0; start = text.indexOf("\n", start) + 1 || -1) lines.addNewLine(start);
    return unreadable(excess);
  }
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    // The reader below refuses duplicate keys in linear time; the parser's check compares every pair of keys.
    uniqueKeys: false,
    version: "1.2",
  });
  const [document, second] = Array.isArray(documents) ? documents : [];
  if (document === undefined) return { file: new PositionedValue(null, new Map()), problems: [] };
  const broken = syntaxProblem(text, document) ?? secondDocument(second);
  if (broken !== undefined) return unreadable(broken);
  const reader = new Reader(position);
  for (const { message, pos } of document.warnings)
    reader.report(`invalid YAML: ${message.slice(0, 200)}`, pos[0], []);
  const value = reader.read(document.contents, []);
  const file = reader.isOverfull ? undefined : new PositionedValue(value, reader.positions);
  return { file, problems: reader.problems };
}

interface SyntaxProblem {
  readonly message: string;
  readonly offset: number;
}

/**
 * Bounds tokens and nesting before the parser gets the text: with half a million `[` the parser runs out of memory, which
 * ends the process and cannot be caught.
 */
function findExcess(text: string): SyntaxProblem | undefined {
  let offset = 0;
  let tokens = 0;
  let flowDepth = 0;
  let indicatorsInLine = 0;
  let isText = false;
  for (const lexeme of new Lexer().lex(text)) {
    const type: CST.TokenType | null = isText ? null : CST.tokenType(lexeme);
    isText = type === "scalar";
    if (type === "flow-seq-start" || type === "flow-map-start") flowDepth += 1;
    else if (type === "flow-seq-end" || type === "flow-map-end") flowDepth -= 1;
    else if (type === "newline") indicatorsInLine = 0;
    else if (type === "seq-item-ind" || type === "explicit-key-ind" || type === "map-value-ind")
      indicatorsInLine += 1;
    if (flowDepth > MAX_DEPTH || (flowDepth === 0 && indicatorsInLine > MAX_DEPTH)) {
      return { message: `expected at most ${MAX_DEPTH} levels`, offset };
    }
    tokens += 1;
    if (tokens > MAX_TOKENS) return { message: `expected at most ${MAX_TOKENS} YAML tokens`, offset };
    // The lexer's own marks are single control characters that are not part of the text.
    if (type !== "doc-mode" && type !== "flow-error-end" && type !== "scalar") offset += lexeme.length;
  }
  return undefined;
}

/** Returns only the first error: the parser guesses after it, and further errors are mostly consequences. */
function syntaxProblem(text: string, document: Document.Parsed): SyntaxProblem | undefined {
  const error = document.errors[0];
  if (error !== undefined) {
    const offset = error.pos[0];
    const isBareVariable = text[offset] === "{" && text[offset - 1] === "$";
    const isBareStar = text[offset] === "*";
    const message = isBareVariable
      ? `quote "\${NAME}" inside [ ] and { }`
      : isBareStar
        ? 'quote "*": a bare * begins a YAML alias'
        : `invalid YAML: ${lowerFirst(error.message)}`;
    return { message: message.replace(/\s+/g, " "), offset };
  }
  const { explicit, version } = document.directives.yaml;
  return explicit === true && version !== "1.2" ? { message: "expected YAML 1.2", offset: 0 } : undefined;
}

const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1, 200);

function secondDocument(document: Document.Parsed | undefined): SyntaxProblem | undefined {
  return document && { message: "expected one YAML document, found a second", offset: document.range[0] };
}

const pathKey = (path: Path): string => JSON.stringify(path);

class PositionedValue implements YamlFile {
  readonly value: unknown;
  readonly #positions: ReadonlyMap<string, Positions>;

  constructor(value: unknown, positions: ReadonlyMap<string, Positions>) {
    this.value = value;
    this.#positions = positions;
  }

  keyPosition(path: Path): SourcePosition {
    for (let end = path.length; end > 0; end -= 1) {
      const key = this.#positions.get(pathKey(path.slice(0, end)))?.key;
      if (key !== undefined) return key;
    }
    return START;
  }

  valuePosition(path: Path): SourcePosition {
    for (let end = path.length; end >= 0; end -= 1) {
      const found = this.#positions.get(pathKey(path.slice(0, end)));
      if (found !== undefined) return found.value;
    }
    return START;
  }
}

/** Converts the parser's nodes to plain values; it follows aliases within a bound on the number of values. */
class Reader {
  readonly problems: YamlProblem[] = [];
  readonly positions = new Map<string, Positions>();
  readonly #position: (offset: number) => SourcePosition;
  readonly #anchors = new Map<string, unknown>();
  /** The nodes that are being read; an alias to one of them would never end. */
  readonly #open = new Set<unknown>();
  #values = 0;
  /** Whether reading stopped at a bound. */
  isOverfull = false;

  constructor(position: (offset: number) => SourcePosition) {
    this.#position = position;
  }

  report(message: string, offset: number, path: Path): void {
    this.problems.push({ message, at: this.#position(offset), path });
  }

  /** Reads a node; `key` is the offset of its key. */
  read(node: unknown, path: Path, key?: number): unknown {
    const offset = startOf(node) ?? key ?? 0;
    this.positions.set(pathKey(path), {
      key: key === undefined ? undefined : this.#position(key),
      value: this.#position(offset),
    });
    this.#values += 1;
    // A few lines of aliases to aliases ("alias bomb") can stand for a billion values.
    if (this.#values > MAX_VALUES || path.length > MAX_DEPTH) {
      if (!this.isOverfull) {
        this.report(
          `expected at most ${MAX_VALUES} values, ${MAX_DEPTH} levels deep, aliases included`,
          offset,
          [],
        );
      }
      this.isOverfull = true;
      return undefined;
    }
    if (isAlias(node)) return this.#readAlias(node.source, path, offset, key);
    if (isScalar(node) || isMap(node) || isSeq(node)) {
      if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    }
    if (isScalar(node)) return node.value;
    this.#open.add(node);
    const value = isMap(node)
      ? this.#readMap(node.items, path)
      : isSeq(node)
        ? this.#readSeq(node.items, path)
        : null;
    this.#open.delete(node);
    return value;
  }

  #readAlias(name: string, path: Path, offset: number, key: number | undefined): unknown {
    const node = this.#anchors.get(name);
    if (node === undefined) {
      const hint = name.includes(".") ? `; for the text, quote it: "*${name}"` : "";
      this.report(`no anchor &${name} above this alias${hint}`, offset, path);
    } else if (this.#open.has(node)) this.report(`the alias *${name} is inside its own anchor`, offset, path);
    else {
      const value = this.read(node, path, key);
      // A problem of the value depends on where the alias is used, so problems point to the alias.
      this.positions.set(pathKey(path), {
        key: key === undefined ? undefined : this.#position(key),
        value: this.#position(offset),
      });
      return value;
    }
    return undefined;
  }

  #readSeq(items: readonly unknown[], path: Path): unknown[] {
    const values: unknown[] = [];
    for (const item of items) {
      if (this.isOverfull) break;
      values.push(this.read(item, [...path, values.length]));
    }
    return values;
  }

  #readMap(items: readonly Pair[], path: Path): Record<string, unknown> {
    const values: Record<string, unknown> = {};
    for (const { key, value } of items) {
      if (this.isOverfull) break;
      const offset = startOf(key) ?? 0;
      const name = isScalar(key) ? String(key.value ?? "") : "";
      const refusal = refusalOf(name, values);
      if (refusal === undefined) values[name] = this.read(value, [...path, name], offset);
      else this.report(refusal, offset, [...path, name]);
    }
    return values;
  }
}

function refusalOf(name: string, values: Record<string, unknown>): string | undefined {
  if (FORBIDDEN_KEYS.has(name)) return "unknown key";
  if (name === "<<") return "merge keys are not YAML 1.2; repeat the keys instead";
  return Object.hasOwn(values, name) ? "duplicate key" : undefined;
}

function startOf(node: unknown): number | undefined {
  const range = (node as { range?: readonly number[] | null } | null | undefined)?.range;
  // An empty value has a place without width somewhere after its key; the key's place is clearer.
  return range === undefined || range === null || range[0] === range[1] ? undefined : range[0];
}
