import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../config/server-schema.ts";
import { DumpFiles } from "../nginx/dump.ts";
import { GenerateFault } from "../nginx/generate/fault.ts";
import { serversOf } from "../nginx/generate/servers.ts";
import { generateSite, type SiteOptions } from "../nginx/generate/site.ts";
import { isOpen } from "../nginx/generate/text.ts";
import { isAsBadAs } from "../nginx/lint/finding.ts";
import { formatText } from "../nginx/lint/format-text.ts";
import { lint } from "../nginx/lint/result.ts";
import { readConfiguration } from "../nginx/reader.ts";
import { readFacts } from "./nginx-facts.ts";

const TIMEOUT_MS = 10_000;
const FILE = "generated.conf";

/**
 * Returns what nginx and lint report on the configuration to be written; empty if there is nothing worse than a note.
 * Throws GenerateFault without an nginx.
 */
export function checkSite(config: Config, options: SiteOptions, directory: string): string[] {
  return [...lintSite(config, options, directory), ...testSite(config, options)];
}

function lintSite(config: Config, options: SiteOptions, directory: string): string[] {
  const files = new DumpFiles(new Map([[FILE, generateSite(config, options)]]));
  const facts = readFacts(directory);
  const { addresses, hasTls } = serversOf(config.server.listen, options.servers);
  const named = addresses.map((address) => {
    return { address: address.toLowerCase(), isWildcard: false, hasProxyProtocol: false, hasTls };
  });
  const { findings } = lint(readConfiguration(FILE, files), {
    version: options.version,
    sluice: { ...facts, listeners: [...named, ...facts.listeners] },
    streams: [],
    heartbeatMs: undefined,
    only: undefined,
    off: new Set(),
  });
  const bad = findings.filter(({ severity }) => isAsBadAs(severity, "warning"));
  return bad.length === 0 ? [] : [formatText(bad, false)];
}

/** Runs `nginx -t` in a temporary directory. A warning counts too: nginx would log it at every start. */
function testSite(config: Config, options: SiteOptions): string[] {
  const prefix = mkdtempSync(join(tmpdir(), "sluice-generate-"));
  try {
    mkdirSync(join(prefix, "temp"));
    // nginx -t binds its addresses, and only root may bind port 80, so the test uses a unix socket. The open values of a
    // template get a value of the right form.
    const servers = options.servers.map((server) => (isOpen(server) ? "127.0.0.1:8000" : server));
    const site = generateSite(config, { ...options, servers, listen: `unix:${prefix}/nginx.sock` });
    writeFileSync(join(prefix, FILE), site);
    writeFileSync(join(prefix, "nginx.conf"), MAIN);
    const words = ["-t", "-q", "-p", prefix, "-c", "nginx.conf", "-e", "error.log"];
    const { stderr, error, status } = spawnSync("nginx", words, { encoding: "utf8", timeout: TIMEOUT_MS });
    if (error !== undefined) {
      throw new GenerateFault(
        "--check needs nginx on the PATH; install it, or check with sluice nginx lint, which does not need it",
      );
    }
    const said = stderr.replaceAll(`${prefix}/`, "");
    return status === 0 && said.trim() === "" ? [] : [said === "" ? `nginx -t ended with ${status}` : said];
  } finally {
    rmSync(prefix, { recursive: true, force: true });
  }
}

const MAIN = `pid nginx.pid;
events {}
http {
access_log off;
${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path temp/${name};`).join("\n")}
include ${FILE};
}
`;
