import { isIPv6 } from "node:net";
import { withoutFinalSlashes } from "../http/final-slashes.ts";
import { nearest } from "./nearest.ts";

/**
 * Guesses the intended value. A message says which form is expected; the remedy after it shows the author's value in
 * that form, so that it can be copied.
 */
type Remedy = (text: string) => string | undefined;

const meant = (text: string): string => `did you mean ${text}?`;

const PORT = /^(?:\*?:)?(\d{1,5})$/;
const HOST_AND_PORT = /^[A-Za-z0-9.-]+(?::\d{1,5})?(?:\/.*)?$/;
/** A shell's `$HOST`, without the braces that a variable needs here. */
const BARE_VARIABLE = /\$([A-Za-z_]\w*)/;

function bareVariable(text: string): string | undefined {
  const name = BARE_VARIABLE.exec(text)?.[1];
  return name === undefined ? undefined : meant(text.replace(`$${name}`, `\${${name}}`));
}

function url(text: string): string | undefined {
  const port = PORT.exec(text)?.[1];
  if (port !== undefined) return meant(`http://127.0.0.1:${port}`);
  const socket = /^wss?(:\/\/.*)$/i.exec(text)?.[1];
  if (socket !== undefined)
    return `WebSocket needs no scheme of its own; ${meant(`http${text.startsWith("wss") ? "s" : ""}${socket}`)}`;
  if (text.startsWith("/")) return meant(`unix:${text}`);
  if (/^unix:/i.test(text)) return "the path of a socket begins with /";
  const [, scheme = "", host = ""] = /^([a-z]+):\/\/(.+)$/i.exec(text) ?? [];
  if (/^https?$/i.test(scheme)) return authority(scheme, host);
  const spelled = nearest(scheme, ["http", "https"]);
  if (spelled !== undefined) return meant(`${spelled}://${host}`);
  const address = HOST_AND_PORT.test(text) ? `http://${withoutFinalSlashes(text)}` : undefined;
  return address === undefined ? undefined : meant(address);
}

/** The remedy for a host and port that no URL can have. */
function authority(scheme: string, text: string): string | undefined {
  const [, host = "", port] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
  if (isIPv6(host) && port !== undefined) return meant(`${scheme}://[${host}]:${port}`);
  if (isIPv6(text)) return meant(`${scheme}://[${text}]`);
  const isPort = port === undefined || (Number(port) > 0 && Number(port) <= 65_535);
  return isPort ? undefined : "a port is a number from 1 to 65535";
}

/** The remedy for a URL with a path: as in nginx, `http://unix:/run/app.sock` is meant as a socket. */
function withoutPath(text: string): string | undefined {
  const socket = /^https?:\/\/(unix:\/[^:]+)/i.exec(text)?.[1];
  return socket === undefined ? undefined : meant(socket);
}

function listen(text: string): string | undefined {
  const port = PORT.exec(text)?.[1];
  if (port !== undefined) return Number(port) > 65_535 ? "a port is at most 65535" : meant(port);
  const address = /^[a-z]+:\/\/([^/]+)\/?$/i.exec(text)?.[1];
  if (address !== undefined) return meant(address);
  return text.startsWith("/") ? meant(`unix:${text}`) : undefined;
}

function path(text: string): string | undefined {
  const parameter = text.search(/\/[{:<]/);
  if (parameter >= 0) return `a path has no parameters; ${meant(`${text.slice(0, parameter)}/*`)}`;
  const plain = text.replace(/^[~*^\s]+/, "").replace(/[$]$/, "");
  if (/^[~^]/.test(text) && plain.startsWith("/")) return `a path is no regular expression; ${meant(plain)}`;
  const query = /^(\/[^?#]*)[?#]/.exec(text)?.[1];
  if (query !== undefined) return `a path has no query; ${meant(query)}`;
  if (!text.startsWith("/")) return /^[\w.-]/.test(text) ? meant(`/${text}`) : undefined;
  const start = /^(\/[^*]*?)\/?\*/.exec(text)?.[1];
  return start === undefined ? undefined : `* stands only at the end, as a segment; ${meant(`${start}/*`)}`;
}

function host(text: string): string | undefined {
  if (/^\*?$/.test(text)) return "leave it out for any host";
  const name = /^(?:[a-z]+:\/\/)?([*A-Za-z0-9._-]+)(?::\d+)?(?:\/.*)?$/.exec(text)?.[1];
  if (name === undefined) return undefined;
  const below = /^(\*?)\.?([A-Za-z0-9-][A-Za-z0-9._-]*)$/.exec(name);
  if (below === null)
    return name.includes("*") ? "* stands only at the start, as in *.example.com" : undefined;
  const [, star, domain] = below;
  if (star === "*") return name === text && name === `*.${domain}` ? undefined : meant(`"*.${domain}"`);
  // In nginx, .example.com is the name itself and every name below it.
  if (name.startsWith(".")) return meant(`[${domain}, "*.${domain}"]`);
  return name === text ? undefined : meant(name);
}

function origin(text: string): string | undefined {
  const [, given, rest] = /^(https?:\/\/[^/]+)(\/.*)$/.exec(text) ?? [];
  if (given !== undefined && rest !== undefined) return `an origin has no path; ${meant(given)}`;
  return HOST_AND_PORT.test(text) ? meant(`https://${text}`) : undefined;
}

const UNITS: Readonly<Record<string, string>> = {
  "": "s",
  sec: "s",
  secs: "s",
  second: "s",
  seconds: "s",
  min: "m",
  mins: "m",
  minute: "m",
  minutes: "m",
  hr: "h",
  hour: "h",
  hours: "h",
  day: "d",
  days: "d",
  msec: "ms",
};

/** For a unit the next smaller one, and how many of them it has. */
const SMALLER: Readonly<Record<string, readonly [unit: string, times: number]>> = {
  d: ["h", 24],
  h: ["m", 60],
  m: ["s", 60],
  s: ["ms", 1_000],
  g: ["m", 1_024],
  M: ["k", 1_024],
};

/** Returns a number with a fraction, such as 1.5h, in the next smaller unit: 90m. */
function whole(count: string, unit: string): string | undefined {
  const [smaller, times] = SMALLER[unit] ?? [];
  const number = Number(count) * (times ?? Number.NaN);
  return Number.isInteger(number) ? meant(`${number}${smaller}`) : undefined;
}

function duration(text: string): string | undefined {
  const [, part, partUnit] = /^(\d+\.\d+)([smhd])$/i.exec(text) ?? [];
  if (part !== undefined && partUnit !== undefined) return whole(part, partUnit.toLowerCase());
  const [, count, unit] = /^(\d+)\s*([a-z]*)$/i.exec(text) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  const known = UNITS[unit.toLowerCase()] ?? (/^(?:ms|[smhd])$/i.test(unit) ? unit.toLowerCase() : undefined);
  return known === undefined ? undefined : meant(`${count}${known}`);
}

function size(text: string): string | undefined {
  const [, part, partUnit] = /^(\d+\.\d+)([mg])$/i.exec(text) ?? [];
  if (part !== undefined && partUnit !== undefined) return whole(part, partUnit === "g" ? "g" : "M");
  const [, count, unit] = /^(\d+)\s*([kmg])i?b?$/i.exec(text) ?? [];
  return count === undefined ? undefined : meant(`${count}${unit?.toLowerCase()}`);
}

function rate(text: string): string | undefined {
  const [, count, unit] = /^(\d+)\s*(?:r?\/|per)\s*([smh])/.exec(text) ?? [];
  return count === undefined ? undefined : meant(`{ requests: ${count}, per: 1${unit} }`);
}

function redis(text: string): string | undefined {
  // With a port: a text without one may be a password, which no message may show.
  return /:\d{1,5}$/.test(text) && HOST_AND_PORT.test(text) ? meant(`redis://${text}`) : undefined;
}

/** The methods of nginx. */
const BALANCE: Readonly<Record<string, string>> = {
  ip_hash: "{ method: hash, by: ip }",
  least_conn: "leastConnections",
  random: "randomTwo",
};

const balance = (text: string): string | undefined =>
  Object.hasOwn(BALANCE, text) ? `in upstream.balance, ${meant(BALANCE[text] ?? "")}` : undefined;

/** The log levels of other programs. */
const LEVELS: Readonly<Record<string, string>> = {
  trace: "debug",
  verbose: "debug",
  notice: "info",
  warning: "warn",
  crit: "error",
  fatal: "error",
  off: "silent",
  none: "silent",
};

function level(text: string): string | undefined {
  const name = text.toLowerCase();
  return Object.hasOwn(LEVELS, name) ? meant(LEVELS[name] ?? "") : undefined;
}

/** The remedies by the form that a message expects. */
const BY_EXPECTATION: readonly (readonly [expected: RegExp, remedy: Remedy])[] = [
  [/^expected a URL such as http:/, url],
  [/^expected no path or query/, withoutPath],
  [/^expected a URL such as redis:/, redis],
  [/^expected a port, /, listen],
  [/^expected a path such as/, path],
  [/^expected a host name/, host],
  [/^expected \*, null, an origin/, origin],
  [/^expected a duration/, duration],
  [/^expected a size/, size],
  [/^expected \{ requests, per/, rate],
  [/^expected leastConnections, /, balance],
  [/^expected debug, info, /, level],
];

const BOOLEANS: Readonly<Record<string, string>> = { yes: "true", on: "true", no: "false", off: "false" };

/** Returns the end of a message about a value: what its author most likely meant; undefined if nothing is likely. */
export function remedyFor(message: string, input: unknown): string | undefined {
  if (Array.isArray(input)) return ofList(message, input);
  if (message.includes("an object") && message.endsWith(", or off") && SWITCHES.has(input))
    return ofSwitch(message, input);
  if (typeof input !== "string" && typeof input !== "number") return undefined;
  const text = String(input);
  const missingBlank = /^([A-Za-z]\w*):(?!\/\/)(\S.*)$/.exec(text);
  if (/^expected (?:\{\} for the defaults, )?an object/.test(message)) {
    const isBackend = message.includes("with url,") && !text.startsWith("url:");
    if (isBackend) return /^(?:https?:\/\/|unix:)/.test(text) ? meant(`{ url: ${text} }`) : url(text);
    if (missingBlank !== null) return `a blank is missing after ${missingBlank[1]}:`;
    if (message.includes("with level")) return meant(`{ level: ${text} }`);
    return message.includes("with path") && text.startsWith("/") ? meant(`{ path: ${text} }`) : undefined;
  }
  if (message === "expected a list") return meant(`[${text}]`);
  if (message.startsWith("expected true or false")) {
    if (/^(?:true|false)$/i.test(text)) return `write ${text.toLowerCase()} without quotes`;
    const value = BOOLEANS[text.toLowerCase()];
    return value === undefined ? undefined : meant(value);
  }
  const remedy = BY_EXPECTATION.find(([expected]) => expected.test(message))?.[1];
  return bareVariable(text) ?? remedy?.(text);
}

/** Values that switch a feature on or off in other configurations. */
const SWITCHES: ReadonlySet<unknown> = new Set([true, false, "true", "false", "on", "yes", "no"]);

function ofSwitch(message: string, input: unknown): string | undefined {
  if (input === false || input === "false" || input === "no") return meant("off");
  return message.includes("{} for") ? meant("{}") : undefined;
}

function ofList(message: string, list: readonly unknown[]): string | undefined {
  if (!/^expected a URL such as http:.*object with backends/.test(message)) return undefined;
  const backends = list.map((one) => `{ url: ${String(one)} }`).join(", ");
  return list.every((one) => typeof one === "string") ? meant(`{ backends: [${backends}] }`) : undefined;
}
