import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline/promises";
import { visibleText } from "../base/visible-text.ts";
import { configFromFlags } from "../config/from-flags.ts";
import { DEFAULT_DIRECTORY, EXIT, refuse, UsageError } from "./command.ts";
import type { ParsedFlags } from "./flags.ts";

const DEFAULT_BACKEND = "http://127.0.0.1:8080";

/** Writes the configuration that the flags of `sluice init` describe; resolves with the exit code. */
export async function writeConfig(flags: ParsedFlags): Promise<number> {
  const directory = flags.one("config") ?? DEFAULT_DIRECTORY;
  const to = flags.one("to") ?? (await askBackend());
  const [cors, trust] = [flags.many("cors"), flags.many("behind")];
  // The same checks as for `serve --to`: the files are valid when they are written.
  const loaded = configFromFlags({ to, cors, trust, listen: undefined, admin: undefined });
  if ("problems" in loaded) {
    return refuse(loaded.problems.map((one) => ({ ...one, key: one.key.replace("--trust", "--behind") })));
  }
  const files = {
    "sluice.yaml": serverText(trust),
    "routes/main.yaml": routeText(to, cors),
  };
  let written: number;
  try {
    written = writeFiles(directory, files);
  } catch (error) {
    const { path = directory, code } = error as NodeJS.ErrnoException;
    process.stderr.write(
      visibleText(`sluice: ${path} cannot be written (${code}); use --config for another directory\n`),
    );
    return EXIT.refused;
  }
  if (written === 0) {
    process.stderr.write(`sluice: ${directory} has a configuration already; nothing was written\n`);
    return EXIT.refused;
  }
  const option = directory === DEFAULT_DIRECTORY ? "" : ` --config ${directory}`;
  process.stdout.write(`\nCheck it with  sluice check${option}\nRun it with    sluice serve${option}\n`);
  return EXIT.done;
}

/** Writes the files that do not exist yet; returns their number. */
function writeFiles(directory: string, files: Readonly<Record<string, string>>): number {
  makeDirectory(join(directory, "routes"));
  let written = 0;
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    const isNew = writeNew(path, text);
    process.stdout.write(`${isNew ? "wrote" : "kept "} ${path}\n`);
    if (isNew) written++;
  }
  return written;
}

/**
 * Makes a directory and those above it. Node's own recursive mkdir never returns below /proc, which answers ENOENT for a
 * directory whose parent exists.
 */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent);
  mkdirSync(path);
}

/** Asks on a terminal for the backend. Throws UsageError without one. */
async function askBackend(): Promise<string> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) throw new UsageError("init needs --to URL, the backend");
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`Which backend? (${DEFAULT_BACKEND}) `);
  terminal.close();
  return answer.trim() || DEFAULT_BACKEND;
}

/** Writes a file that does not exist yet; returns whether it did not. */
function writeNew(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

const listOf = (texts: readonly string[]): string =>
  `[${texts.map((text) => JSON.stringify(text)).join(", ")}]`;

function serverText(trust: readonly string[]): string {
  const trusted = trust.length > 0 ? `trustedProxies: ${listOf(trust)}` : '# trustedProxies: ["127.0.0.1"]';
  return `# The server. Every key has a default: sluice schema server
# A port, host:port, unix:/path, or a list of them.
listen: 8000

# Health, metrics and the dashboard, on this machine only.
admin: 127.0.0.1:9900

# The addresses of proxies in front, such as nginx. Without them every client has the address of that proxy.
# In nginx: proxy_set_header X-Forwarded-For $remote_addr; without it, clients could invent their address.
${trusted}

# Values for all routes: the keys of a route file. A route's own key wins.
# defaults:
#   stream: { heartbeat: 15s }
`;
}

function routeText(to: string, cors: readonly string[]): string {
  const allowed =
    cors.length > 0
      ? `cors:\n  allowOrigins: ${listOf(cors)}`
      : "# cors:\n#   allowOrigins: [https://app.example.com]";
  return `# A route. One file for each; all keys: sluice schema route
match:
  # An exact path, or everything below a prefix: /chat/*
  path: /*

upstream: ${JSON.stringify(to)}

websocket: true

# Pages of these origins may read the responses.
${allowed}

# stream:
#   heartbeat: 15s     a comment line after this much silence
#   idleTimeout: off   abort a stream whose backend is silent for this long
`;
}
