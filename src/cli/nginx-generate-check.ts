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
 * What nginx and lint say of the configuration that would be written; empty when nothing is worse than a note.
 * Throws GenerateFault when there is no nginx.
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

/** `nginx -t`, in a directory of its own. A warning counts: nginx would write it at every start. */
function testSite(config: Config, options: SiteOptions): string[] {
  const prefix = mkdtempSync(join(tmpdir(), "sluice-generate-"));
  try {
    mkdirSync(join(prefix, "temp"));
    // nginx -t binds its addresses, which only root may do with port 80: a socket of its own instead. What a template
    // leaves open gets a value of the right form.
    const servers = options.servers.map((server) => (isOpen(server) ? "127.0.0.1:8000" : server));
    const site = generateSite(config, { ...options, servers, listen: `unix:${prefix}/nginx.sock` });
    writeFileSync(join(prefix, FILE), site);
    writeFileSync(join(prefix, "nginx.conf"), MAIN);
    const words = ["-t", "-q", "-p", prefix, "-c", "nginx.conf", "-e", "error.log"];
    const { stderr, error, status } = spawnSync("nginx", words, { encoding: "utf8", timeout: TIMEOUT_MS });
    if (error !== undefined) {
      throw new GenerateFault(
        "--check needs nginx on the PATH; install it, or check without it by sluice nginx lint",
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
