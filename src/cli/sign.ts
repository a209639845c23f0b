import { readFileSync } from "node:fs";
import { payloadHash } from "../auth/canonical-request.ts";
import { createSigningKey, signRequest } from "../auth/sign-request.ts";
import { describeSystemError } from "../config/text-file.ts";
import { readTarget } from "../exchange/target.ts";
import { type Command, EXIT, UsageError } from "./command.ts";
import { parseFlags } from "./flags.ts";

/** `sluice sign`: signs one request, to test a route with curl. */
export const sign: Command = {
  help: `Usage: sluice sign URL --key K --secret S [flags]

Prints the headers of a request signed with SDK-HMAC-SHA256. They are valid for
15 minutes.

  --key K          the AppKey
  --secret S       the AppSecret; to hide it from the list of processes, set
                   SLUICE_SECRET in the environment instead
  --method M       the method (GET, or POST with --data)
  --header 'N: V'  a header to send and sign; may be repeated
  --data TEXT      the body; @FILE reads it from a file
  --curl           print a curl command instead of the headers
`,
  run(args) {
    const flags = parseFlags(
      args,
      { key: "one", secret: "one", method: "one", header: "many", data: "one", curl: "none" },
      1,
    );
    const [address] = flags.words;
    const key = flags.one("key");
    const secret = flags.one("secret") ?? process.env["SLUICE_SECRET"] ?? "";
    if (address === undefined || key === undefined || secret === "") {
      throw new UsageError("sign needs a URL, --key and --secret");
    }
    if (!/^[\x21-\x2b\x2d-\x7e]{1,128}$/.test(key)) {
      throw new UsageError("--key: expected 1 to 128 visible characters without comma and space");
    }
    const data = flags.one("data");
    const body = data === undefined ? undefined : readBody(data);
    const method = flags.one("method") ?? (body === undefined ? "GET" : "POST");
    const { url, target } = readUrl(address);
    const given = flags.many("header").map(readHeader);
    const fields = [...given, ["Host", url.host] as const].flat();
    const names = given.map(([name]) => name.toLowerCase());
    if (new Set(names).size < names.length) throw new UsageError("a signed header must not be repeated");
    const payload = payloadHash(body ?? "");
    const own = signRequest(createSigningKey({ key, secret }), { method, target, fields, payload }, names);
    const headers = [...given, ...own].map(([name, value]) => `${name}: ${value}`);
    const lines = flags.has("curl") ? [curlLine(url, target, method, headers, data)] : headers;
    process.stdout.write(Buffer.from(`${lines.join("\n")}\n`, "latin1"));
    return EXIT.done;
  },
};

/** Parses the address. The signed target has the URL parser's spelling, which curl sends too. */
function readUrl(address: string): { readonly url: URL; readonly target: string } {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "") {
    throw new UsageError(`expected a URL such as http://127.0.0.1:8000/stream, not ${address}`);
  }
  const target = url.pathname + url.search;
  readTarget(target, url.host);
  return { url, target };
}

/** Fields that the signature sets itself. */
const RESERVED: ReadonlySet<string> = new Set(["host", "authorization", "x-sdk-date"]);

function readHeader(text: string): readonly [name: string, value: string] {
  const [, name = "", rest = ""] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)$/.exec(text) ?? [];
  if (name === "") throw new UsageError(`expected a header such as 'X-Name: value', not ${text}`);
  if (RESERVED.has(name.toLowerCase())) throw new UsageError(`${name} is set by the signature`);
  // As bytes of the wire, one character each.
  return [name, Buffer.from(rest.replace(/^[ \t]+/, ""), "utf8").toString("latin1")];
}

function readBody(data: string): Buffer {
  if (!data.startsWith("@")) return Buffer.from(data, "utf8");
  try {
    return readFileSync(data.slice(1));
  } catch (error) {
    throw new UsageError(`${data.slice(1)}: ${describeSystemError(error)}`);
  }
}

/** Returns a curl command; without `--path-as-is` and `-g`, curl would change a signed path or query. */
function curlLine(
  url: URL,
  target: string,
  method: string,
  headers: readonly string[],
  data: string | undefined,
): string {
  // curl adds a Content-Type to a body; it is not signed, which the protocol allows.
  const body = data === undefined ? [] : ["--data-binary", quoted(latin1(data))];
  // With `-X HEAD`, curl would wait for a body that never comes.
  const how = method === "HEAD" ? ["--head"] : ["-X", quoted(method)];
  const fields = headers.flatMap((header) => ["-H", quoted(header)]);
  return ["curl -N -g --path-as-is", ...how, ...fields, ...body, quoted(url.origin + target)].join(" ");
}

const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
