import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { visibleText } from "../base/visible-text.ts";
import { parseAddress } from "../config/address-schema.ts";
import { loadConfig } from "../config/load.ts";
import { cidr } from "../config/scalars.ts";
import type { Config } from "../config/server-schema.ts";
import { GenerateFault } from "../nginx/generate/fault.ts";
import type { Mode } from "../nginx/generate/locations.ts";
import { serversOf, trustNote } from "../nginx/generate/servers.ts";
import { generateSite, MARK, type SiteOptions } from "../nginx/generate/site.ts";
import { isOpen } from "../nginx/generate/text.ts";
import { longestSilence } from "../nginx/generate/timeouts.ts";
import { installedVersion } from "../nginx/lint/nginx-check.ts";
import { ASSUMED_VERSION, formatVersion, type NginxVersion, parseVersion } from "../nginx/version.ts";
import { DEFAULT_DIRECTORY, EXIT, refuse, UsageError } from "./command.ts";

import type { ParsedFlags } from "./flags.ts";
import { checkSite } from "./nginx-generate-check.ts";

const MODES: readonly Mode[] = ["all", "routes"];

/** Writes the nginx configuration that the flags of `sluice nginx generate` describe; returns the exit code. */
export function runGenerate(flags: ParsedFlags): number {
  const options = readOptions(flags);
  const directory = flags.one("config") ?? DEFAULT_DIRECTORY;
  const loaded = loadConfig(directory, process.env);
  if ("problems" in loaded) return refuse(loaded.problems);
  try {
    return generate(loaded.config, options, flags, directory);
  } catch (error) {
    if (!(error instanceof GenerateFault)) throw error;
    say(error.message);
    return EXIT.refused;
  }
}

const say = (text: string): void => {
  process.stderr.write(`${visibleText(`sluice nginx generate: ${text}`)}\n`);
};

function generate(config: Config, options: SiteOptions, flags: ParsedFlags, directory: string): number {
  const text = generateSite(config, options);
  if (flags.one("nginx") === undefined && installedVersion() === undefined) {
    say(
      `no nginx on the PATH: written for ${formatVersion(options.version)}; --nginx selects another version`,
    );
  }
  for (const note of notesOf(config, options)) say(note);
  if (flags.has("check")) {
    const findings = checkSite(config, options, directory);
    for (const finding of findings) process.stderr.write(`${visibleText(finding.trimEnd())}\n`);
    if (findings.length > 0) {
      say("the check has findings, so nothing was written");
      return EXIT.crashed;
    }
  }
  const out = flags.one("out");
  if (out === undefined) process.stdout.write(text);
  else writeOut(out, text);
  return EXIT.done;
}

/** Returns notes on what the generated text cannot solve. */
function notesOf(config: Config, { servers }: SiteOptions): string[] {
  const { addresses } = serversOf(config.server.listen, servers);
  const trust = trustNote(addresses, config.server.trustedProxies);
  const { silentRoutes } = longestSilence(config.routes);
  const silent = `without a heartbeat, nginx cuts streams after a long silence on ${silentRoutes.join(", ")}; set stream.heartbeat`;
  return [...(trust === undefined ? [] : [trust]), ...(silentRoutes.length === 0 ? [] : [silent])];
}

/** Writes the text. Throws GenerateFault if the file was not generated, or if it cannot be written. */
function writeOut(path: string, text: string): void {
  try {
    if (existsSync(path) && !readFileSync(path, "utf8").startsWith(MARK)) {
      throw new GenerateFault(
        `${path} is not a generated file, so it was not replaced; choose another file, or remove it`,
      );
    }
    writeFileSync(path, text);
  } catch (error) {
    if (error instanceof GenerateFault) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new GenerateFault(`${path} cannot be written (${code}); choose a file that you may write`);
  }
}

/** Returns the options from the flags. Throws UsageError. */
function readOptions(flags: ParsedFlags): SiteOptions {
  const tls = readTls(flags.one("tls"));
  return {
    listen: readListen(flags.one("listen") ?? (tls === undefined ? "80" : "443")),
    tls,
    http2: readHttp2(flags, tls !== undefined),
    servers: flags.many("server"),
    behind: readBehind(flags),
    mode: readMode(flags.one("mode")),
    version: readVersion(flags.one("nginx")),
  };
}

function readListen(text: string): string {
  const address = parseAddress(text);
  const isFixed = address !== undefined && !("port" in address && address.port === 0);
  if (isFixed || isOpen(text)) return text;
  throw new UsageError(`--listen: expected a port, host:port or unix:/path, not ${text}`);
}

function readTls(text: string | undefined): SiteOptions["tls"] {
  if (text === undefined) return undefined;
  const [cert = "", key = "", ...more] = text.split(",");
  if (cert === "" || key === "" || more.length > 0) {
    throw new UsageError(`--tls: expected CERT,KEY, the paths of two PEM files, not ${text}`);
  }
  // nginx would resolve a relative path from its own directory.
  return { cert: resolve(cert), key: resolve(key) };
}

function readHttp2(flags: ParsedFlags, hasTls: boolean): boolean {
  if (flags.has("http2") && flags.has("no-http2"))
    throw new UsageError("--http2 and --no-http2 exclude each other");
  if (flags.has("http2") && !hasTls)
    throw new UsageError("--http2 needs --tls: browsers use HTTP/2 only over TLS");
  return hasTls && !flags.has("no-http2");
}

function readBehind(flags: ParsedFlags): readonly string[] {
  const behind = flags.many("behind").flatMap((list) => list.split(","));
  if (behind.length > 0 && flags.has("edge")) throw new UsageError("--edge and --behind exclude each other");
  for (const range of behind) {
    if (!cidr.safeParse(range).success) {
      throw new UsageError(`--behind: expected an address or a range such as 10.0.0.0/8, not ${range}`);
    }
    if (/\/0+$/.test(range)) {
      throw new UsageError(
        `--behind ${range} would let every client forge its address; expected the balancer's address`,
      );
    }
  }
  return behind;
}

function readMode(text = "all"): Mode {
  const mode = MODES.find((each) => each === text);
  if (mode === undefined) throw new UsageError(`--mode: expected ${MODES.join(" or ")}, not ${text}`);
  return mode;
}

function readVersion(text: string | undefined): NginxVersion {
  if (text === undefined) return installedVersion() ?? ASSUMED_VERSION;
  const version = parseVersion(text);
  if (version === undefined) throw new UsageError(`--nginx: expected a version such as 1.26, not ${text}`);
  return version;
}
