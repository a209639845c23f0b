import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";

const EXECUTABLE = process.env["NGINX_PATH"] ?? "/usr/sbin/nginx";
/** The builds of nginx for tests of facts: the machine's own, and a newer one if available. */
export const NGINX_BUILDS: readonly string[] = [EXECUTABLE, process.env["NGINX_NEWER_PATH"] ?? ""].filter(
  (path) => path === EXECUTABLE || existsSync(path),
);

const TEMPLATES = new URL("../../docker/nginx/", import.meta.url);
const MOST_STARTS = 5;

export interface NginxSetup {
  /** A site of `docker/nginx`, or the text of a site with the same variables. */
  readonly template?: "plain" | "recommended" | { readonly text: string };
  /** `127.0.0.1:PORT` of the server behind nginx. */
  readonly upstream: string;
  /** The HTTP version to that server, if the site does not set it; 1.0 was the default before 1.29.7. */
  readonly httpVersion?: "1.0" | "1.1";
  /** Directives for the http block, inherited by the site. */
  readonly extra?: string;
  /** A build other than the machine's own. */
  readonly executable?: string;
}

export interface NginxFixture {
  readonly port: number;
  readonly url: string;
  /** The contents of nginx's error log so far. */
  errorLog(): Promise<string>;
  stop(): Promise<void>;
}

/** Replaces `${NAME}` with its value, as envsubst does; nginx's own `$names` stay. */
export function renderTemplate(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for the template's variable ${name}`);
    return value;
  });
}

async function siteText({ template = "plain", upstream }: NginxSetup, port: number): Promise<string> {
  const text =
    typeof template === "string"
      ? await readFile(new URL(`${template}.conf.template`, TEMPLATES), "utf8")
      : template.text;
  const listen = `127.0.0.1:${port}`;
  return renderTemplate(text, {
    SLUICE_UPSTREAM: upstream,
    PLAIN_LISTEN: listen,
    RECOMMENDED_LISTEN: listen,
  });
}

/** nginx writes only to its own directory, so any number of instances can run side by side. */
function mainText(setup: NginxSetup, site: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return [
    // As root, the workers would otherwise switch to a user without access to the private directory.
    ...(process.getuid?.() === 0 ? ["user root;"] : []),
    "worker_processes 1;",
    "pid nginx.pid;",
    "error_log error.log notice;",
    "events { worker_connections 512; }",
    "http {",
    "access_log off;",
    ...temporary.map((name) => `${name}_temp_path temp/${name};`),
    `proxy_http_version ${setup.httpVersion ?? "1.1"};`,
    setup.extra ?? "",
    site,
    "}",
  ].join("\n");
}

/** Waits until nginx listens; false if it gave up because another process had taken its port. */
async function isReady(child: ChildProcess, directory: string): Promise<boolean> {
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  // nginx writes the pid file after it has bound the port. It tries five times, every half second, to bind a port
  // that is in use.
  const isBound = () => existsSync(join(directory, "nginx.pid"));
  await eventually(() => isGone() || isBound(), "nginx to listen", { timeoutMs: 15_000 });
  if (!isGone()) return true;
  const log = await readFile(join(directory, "error.log"), "utf8").catch(() => "");
  if (log.includes("Address already in use")) return false;
  throw new Error(`nginx did not start:\n${log}`);
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}

/** Starts a real nginx on a free port of 127.0.0.1; stops it when the test ends. */
export async function startNginx(setup: NginxSetup): Promise<NginxFixture> {
  const { executable = EXECUTABLE } = setup;
  if (!existsSync(executable)) {
    throw new Error(`no nginx at ${executable}: install the package nginx-light, or set NGINX_PATH`);
  }
  const directory = await mkdtemp(join(tmpdir(), "sluice-nginx-"));
  await mkdir(join(directory, "temp"));
  for (let start = 0; start < MOST_STARTS; start += 1) {
    const port = await refusedPort();
    await writeFile(join(directory, "nginx.conf"), mainText(setup, await siteText(setup, port)));
    const child = spawn(
      executable,
      ["-p", directory, "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"],
      {
        stdio: "ignore",
      },
    );
    const stop = async () => {
      await stopProcess(child);
      await rm(directory, { recursive: true, force: true });
    };
    afterTest(stop);
    if (!(await isReady(child, directory))) continue;
    const errorLog = () => readFile(join(directory, "error.log"), "utf8");
    return { port, url: `http://127.0.0.1:${port}`, errorLog, stop };
  }
  throw new Error(`found no free port in ${MOST_STARTS} tries`);
}
