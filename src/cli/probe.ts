import { readFileSync } from "node:fs";
import { parseDuration } from "../base/units.ts";
import { describeSystemError } from "../config/text-file.ts";
import type { Hop, HttpVersion } from "../probe/client.ts";
import { renderJson } from "../probe/json.ts";
import { LiveView } from "../probe/live.ts";
import { runProbe, type Watcher } from "../probe/probe.ts";
import { renderText } from "../probe/table.ts";
import { parseTarget } from "../probe/target.ts";
import { type Command, UsageError } from "./command.ts";
import { type ParsedFlags, parseFlags } from "./flags.ts";

const DEFAULT_FOR = "20s";
const MAX_FOR_MS = 3_600_000;
const MAX_HOPS = 10;
const FORMATS: readonly string[] = ["text", "json"];
const VERSIONS: readonly string[] = ["auto", "1.0", "1.1", "2"];

/** `sluice probe`: finds the hop that delays or cuts a stream. */
export const probe: Command = {
  help: `Usage: sluice probe URL [--hop NAME=URL]... [flags]

Reads an event stream (SSE or NDJSON) and reports whether its events come at
once, come late or are cut, and which hop causes it. With --hop it also reads
the stream at other hops and compares them, which makes the result certain;
name the hops from the backend outwards. Opens at most 2 connections, and 2
more for each hop. Ends by itself.

  --hop NAME=URL    a hop behind the URL; may be repeated (up to ${MAX_HOPS} times)
  --for TIME        how long to read (${DEFAULT_FOR}); to find a timeout, read longer
  --method M        the method (GET, or POST with --data)
  --data TEXT       the body; @FILE reads it from a file
  --header 'N: V'   a header, also -H; may be repeated. Not sent to another host
                    after a redirect
  --origin ORIGIN   send the request of a page of this origin, and check the
                    CORS fields
  --http V          auto, 1.0, 1.1 or 2 (auto: what the server chooses)
  --host-each       send each hop its own Host instead of the URL's
  --insecure        accept any certificate
  --format F        text or json

Exit codes: 0 events come at once, 1 late or cut, 2 no stream, not reachable, or
wrong usage.
`,
  async run(args) {
    const flags = parseFlags(args, FLAGS, 1, { H: "header" });
    const hops = readHops(flags);
    const isJson = choice(flags, "format", FORMATS) === "json";
    const live = !isJson && process.stdout.isTTY ? new LiveView(process.stdout, hasColour()) : undefined;
    const options = {
      hops,
      ask: readAsk(flags, hops),
      forMs: readFor(flags.one("for") ?? DEFAULT_FOR),
      origin: flags.one("origin"),
      signal: untilInterrupted(),
    };
    const report = await runProbe(options, live ?? SILENT);
    live?.close();
    process.stdout.write(isJson ? renderJson(report) : renderText(report));
    return report.verdict.exit;
  },
};

const FLAGS = {
  hop: "many",
  for: "one",
  method: "one",
  data: "one",
  header: "many",
  origin: "one",
  http: "one",
  "host-each": "none",
  insecure: "none",
  format: "one",
} as const;

const SILENT: Watcher = { onStart() {}, onTrial() {} };

/** https://no-color.org */
const hasColour = (): boolean => (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb";

/** Returns a signal that aborts at the first SIGINT, so that the probe reports its results; the second ends the process. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  return controller.signal;
}

/** Returns the hops from the backend outwards, the URL last. */
function readHops(flags: ParsedFlags): readonly Hop[] {
  const [address] = flags.words;
  if (address === undefined) throw new UsageError("probe needs a URL");
  const inner = flags.many("hop").map((text): Hop => {
    const [, name, url] = /^([A-Za-z0-9][\w.-]{0,31})=(.*)$/s.exec(text) ?? [];
    if (name === undefined || url === undefined)
      throw new UsageError(
        `expected --hop NAME=URL such as backend=http://127.0.0.1:8080/stream, not ${text}`,
      );
    return { name, target: readUrl(url) };
  });
  if (inner.length > MAX_HOPS) throw new UsageError(`--hop: expected at most ${MAX_HOPS} of them`);
  const names = [...inner.map(({ name }) => name), "url"];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new UsageError(`two hops have the name ${twice}; the name of the URL itself is url`);
  return [...inner, { name: "url", target: readUrl(address) }];
}

function readUrl(text: string): Hop["target"] {
  const target = parseTarget(text);
  if (target !== undefined) return target;
  throw new UsageError(
    `expected a URL such as https://host/stream, without a user, not ${JSON.stringify(text)}`,
  );
}

function readAsk(flags: ParsedFlags, hops: readonly Hop[]) {
  const data = flags.one("data");
  const body = data === undefined ? undefined : readBody(data);
  const method = flags.one("method") ?? (body === undefined ? "GET" : "POST");
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method))
    throw new UsageError(`--method: expected a method such as GET, not ${JSON.stringify(method)}`);
  const fields = flags.many("header").map(readHeader);
  const has = (name: string) => fields.some(([given]) => given.toLowerCase() === name);
  const origin = flags.one("origin");
  if (origin !== undefined && !has("origin")) fields.push(readHeader(`Origin: ${origin}`));
  if (body !== undefined && !has("content-type")) fields.push(["Content-Type", "application/json"]);
  const authority = hops.at(-1)?.target.authority;
  return {
    method,
    fields,
    body,
    http: choice(flags, "http", VERSIONS) as HttpVersion,
    insecure: flags.has("insecure"),
    host: flags.has("host-each") ? undefined : authority,
  };
}

function readHeader(text: string): readonly [name: string, value: string] {
  const [, name = "", value = ""] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)$/.exec(text) ?? [];
  if (name === "")
    throw new UsageError(`expected a header such as 'X-Name: value', not ${JSON.stringify(text)}`);
  return [name, Buffer.from(value, "utf8").toString("latin1")];
}

function readBody(data: string): Buffer {
  if (!data.startsWith("@")) return Buffer.from(data, "utf8");
  try {
    return readFileSync(data.slice(1));
  } catch (error) {
    throw new UsageError(`${data.slice(1)}: ${describeSystemError(error)}`);
  }
}

function readFor(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms > 0 && ms <= MAX_FOR_MS) return ms;
  throw new UsageError(`--for: expected a time from 1ms to 1h such as 20s, not ${JSON.stringify(text)}`);
}

/** Returns the value of a flag that accepts only some values; the first of them if the flag is not given. */
function choice(flags: ParsedFlags, name: string, values: readonly string[]): string {
  const value = flags.one(name) ?? values[0] ?? "";
  if (values.includes(value)) return value;
  throw new UsageError(`--${name}: expected ${values.join(", ")}, not ${JSON.stringify(value)}`);
}
