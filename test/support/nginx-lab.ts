import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { type Backend, type BackendRequest, refusedPort, startBackend } from "./backend.ts";
import { certificate } from "./certificate.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";
import { openRaw, type RawClient } from "./raw-client.ts";

/**
 * Runs a real nginx with the configurations of test/unit/nginx/rules, to prove lint's findings.
 *
 * They name fixed ports: 8080 and 8081 for nginx, 9000 and 9002 for backends, 9001 for a FastCGI backend. The lab
 * replaces each with a free port.
 */

/** How long a test waits before it concludes that an outcome does not come. */
const HELD_MS = 700;
const STARTS = 5;
const LAB = process.env["NGINX_LAB"];

/** An nginx to run. */
export interface NginxBuild {
  readonly version: string;
  readonly path: string;
  /** The module for `stream {}`, if it exists. */
  readonly streamModule: string | undefined;
}

/** The directory with the unpacked Debian packages for the lab, by version. */
const SUITES = [
  ["1.26", "trixie"],
  ["1.30", "sid"],
] as const;
const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

const moduleAt = (path: string): string | undefined => (existsSync(path) ? path : undefined);

/** The system's nginx, and those below NGINX_LAB. */
export const BUILDS: readonly NginxBuild[] = [
  {
    version: "1.22",
    path: process.env["NGINX_PATH"] ?? "/usr/sbin/nginx",
    streamModule: moduleAt(STREAM_MODULE),
  },
  ...SUITES.map(([version, suite]) => ({
    version,
    path: `${LAB}/bin/nginx-${version}`,
    streamModule: moduleAt(`${LAB}/bin/root-${suite}${STREAM_MODULE}`),
  })).filter(({ path }) => existsSync(path)),
];

const RULES = new URL("../unit/nginx/rules/", import.meta.url).pathname;

/** Reads a configuration of a rule, with its original ports. */
export const fixtureText = (rule: string, name: "bad" | "good"): string =>
  readFileSync(`${RULES}${rule}/${name}.conf`, "utf8");

/** The changes of a test to a configuration, to show its effect within seconds. */
export interface LabSetup {
  readonly build: NginxBuild;
  /** The wait for an outcome, in milliseconds; short if the outcome should not come. */
  readonly patienceMs: number;
  readonly edit?: (text: string) => string;
  /** Additional directives for the http block. */
  readonly http?: string;
  readonly hasMaster?: boolean;
  /** Answers every request at the backends; without it the test answers each request itself. */
  readonly answer?: (request: BackendRequest) => void;
  /** The targets of other ports in the configuration. */
  readonly ports?: Readonly<Record<string, number>>;
  /** Whether the effect is an outcome that comes, rather than an outcome that is missing. */
  readonly appears?: boolean;
}

/** A running nginx with its backends and a client. */
export class Lab {
  readonly patienceMs: number;
  readonly port: number;
  readonly backend: Backend;
  readonly second: Backend;
  readonly #directory: string;
  readonly #child: ChildProcess;

  constructor(
    setup: LabSetup,
    port: number,
    backends: readonly [Backend, Backend],
    directory: string,
    child: ChildProcess,
  ) {
    this.patienceMs = setup.patienceMs;
    this.port = port;
    [this.backend, this.second] = backends;
    this.#directory = directory;
    this.#child = child;
  }

  /** Sends a request; `fields` are lines such as `Origin: x`. */
  async ask(target: string, fields: readonly string[] = [], method = "GET", body = ""): Promise<RawClient> {
    const client = await openRaw(this.port);
    const length = body === "" ? [] : [`Content-Length: ${body.length}`];
    const lines = [`${method} ${target} HTTP/1.1`, "Host: sluice.test:8080", ...length, ...fields];
    client.send(`${lines.join("\r\n")}\r\n\r\n${body}`);
    return client;
  }

  /** Sends a request and returns the complete response head. */
  async headOf(target: string, fields: readonly string[] = [], method = "GET", body = ""): Promise<string> {
    const client = await this.ask(target, fields, method, body);
    await client.received("\r\n\r\n");
    return client.text.slice(0, client.text.indexOf("\r\n\r\n") + 4);
  }

  /** Whether `text` reaches the client within this run's wait. */
  async comes(client: RawClient, text: string): Promise<boolean> {
    return this.happens(() => client.text.includes(text));
  }

  /** Whether a condition becomes true within this run's wait. */
  async happens(probe: () => boolean): Promise<boolean> {
    return eventually(probe, "", { timeoutMs: this.patienceMs }).then(
      () => true,
      () => false,
    );
  }

  get errorLog(): string {
    return readFileSync(join(this.#directory, "error.log"), "utf8");
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }
}

function render(text: string, ports: Readonly<Record<string, number>>, setup: LabSetup): string {
  const replaced = (setup.edit?.(text) ?? text).replaceAll(
    /127\.0\.0\.1:(\d{4})\b/g,
    (whole, port: string) => {
      const other = ports[port];
      return other === undefined ? whole : `127.0.0.1:${other}`;
    },
  );
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path t-${name};`,
  );
  const inHttp = ["access_log off;", ...temporary, setup.http ?? ""].join(" ");
  const { streamModule } = setup.build;
  const main = [
    /^stream \{/m.test(replaced) && streamModule !== undefined ? `load_module ${streamModule};` : "",
    `daemon off; pid nginx.pid; error_log error.log info;${process.getuid?.() === 0 ? " user root;" : ""}`,
    setup.hasMaster === true ? "" : "master_process off;",
  ].join(" ");
  if (/^events \{/m.test(replaced)) return `${main}\n${replaced.replace(/^http \{$/m, `http { ${inHttp}`)}`;
  return `${main}\nevents {}\nhttp { ${inHttp}\n${replaced}\n}\n`;
}

function prepare(): string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-lab-"));
  afterTest(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, "html"));
  mkdirSync(join(directory, "store"));
  for (const page of ["index", "sorry"])
    writeFileSync(join(directory, `html/${page}.html`), `<p>${page}</p>`);
  writeFileSync(join(directory, "cert.pem"), certificate.cert);
  writeFileSync(join(directory, "key.pem"), certificate.key);
  return directory;
}

/** Starts nginx with the text of a configuration; stops everything when the test ends. */
export async function startLab(text: string, setup: LabSetup): Promise<Lab> {
  const script = setup.answer;
  const backends = [await startBackend(script), await startBackend(script)] as const;
  for (let start = 0; start < STARTS; start += 1) {
    const ports = {
      "8080": await refusedPort(),
      "8081": await refusedPort(),
      "9000": backends[0].port,
      "9002": backends[1].port,
      ...setup.ports,
    };
    const directory = prepare();
    writeFileSync(join(directory, "nginx.conf"), render(text, ports, setup));
    const child = spawn(setup.build.path, ["-p", directory, "-c", "nginx.conf", "-e", "error.log"], {
      stdio: "ignore",
    });
    afterTest(() => stop(child));
    if (await isReady(child, directory)) return new Lab(setup, ports["8080"], backends, directory, child);
  }
  throw new Error(`found no free port in ${STARTS} tries`);
}

async function isReady(child: ChildProcess, directory: string): Promise<boolean> {
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  const isBound = () => existsSync(join(directory, "nginx.pid"));
  await eventually(() => isGone() || isBound(), "nginx to listen", { timeoutMs: 15_000 });
  if (!isGone()) return true;
  const log = readFileSync(join(directory, "error.log"), "utf8");
  if (log.includes("Address already in use")) return false;
  throw new Error(`nginx did not start:\n${log}`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}

/** Runs `nginx -t`: returns its exit code and its messages without the places. */
export function testConfiguration(
  text: string,
  build: NginxBuild,
): { readonly isTaken: boolean; readonly said: string } {
  const directory = prepare();
  const ports = { "8080": 8080, "9000": 9000 };
  const setup: LabSetup = { build, patienceMs: 0 };
  writeFileSync(join(directory, "nginx.conf"), render(text, ports, setup));
  const { status, stderr } = spawnSync(
    build.path,
    ["-t", "-q", "-p", directory, "-c", "nginx.conf", "-e", "stderr"],
    { encoding: "utf8" },
  );
  return { isTaken: status === 0, said: stderr };
}

/**
 * Runs a rule's two configurations: `effect` tells whether the problem exists; it must be true with the bad
 * configuration and false with the good one.
 */
export async function effectsOf(
  rule: string,
  build: NginxBuild,
  effect: (lab: Lab) => Promise<boolean>,
  setup: Partial<LabSetup> = {},
): Promise<{ readonly bad: boolean; readonly good: boolean }> {
  const run = async (name: "bad" | "good", patienceMs: number) =>
    effect(await startLab(fixtureText(rule, name), { build, patienceMs, ...setup }));
  const [shown, hidden] = setup.appears ? [PATIENCE_MS, HELD_MS] : [HELD_MS, PATIENCE_MS];
  return { bad: await run("bad", shown), good: await run("good", hidden) };
}
