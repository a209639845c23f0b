import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Running } from "./backends.ts";

/** Directories of nginx that are often missing in a user's PATH. */
const MORE_PLACES = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];
const MOST_STARTS = 3;
const START_MS = 3_000;
const STOP_MS = 2_000;

/** Returns the path of this machine's nginx; undefined without one. */
export function findNginx(path = process.env["PATH"] ?? ""): string | undefined {
  const places = [...path.split(delimiter).filter((place) => place !== ""), ...MORE_PLACES];
  return places.map((place) => join(place, "nginx")).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts a real nginx in front of a backend, with the defaults of versions before 1.29.7: HTTP/1.0 to the backend, and
 * buffering. It holds an event stream back until 4 kB have arrived.
 *
 * Returns undefined if nginx does not start: the demo continues without it.
 */
export async function startPlainNginx(
  executable: string,
  { host, backendPort }: { readonly host: string; readonly backendPort: number },
): Promise<Running | undefined> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-demo-nginx-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    await mkdir(join(directory, "temp"));
    for (let start = 0; start < MOST_STARTS; start += 1) {
      const port = await freePort(host);
      await writeFile(join(directory, "nginx.conf"), configuration(host, port, backendPort));
      const child = spawn(executable, ["-p", directory, "-c", "nginx.conf", "-e", "error.log"], {
        stdio: "ignore",
      });
      // Without a listener, an `error` event (such as a missing file) would end this process.
      child.on("error", () => {});
      const stop = () => stopProcess(child);
      if (await listens(child, directory)) {
        const guard = startGuard(executable, directory);
        const name = host.includes(":") ? `[${host}]` : host;
        return { url: `http://${name}:${port}`, port, close: () => stop().then(remove).finally(guard) };
      }
      await stop();
    }
  } catch {
    // For example a full disk; the demo works without nginx.
  }
  await remove();
  return undefined;
}

function configuration(host: string, port: number, backendPort: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `daemon off;
${process.getuid?.() === 0 ? "user root;" : ""}
worker_processes 1;
pid nginx.pid;
error_log error.log error;
events { worker_connections 64; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path temp/${name};`).join("\n  ")}
  server {
    listen ${host.includes(":") ? `[${host}]` : host}:${port};
    location = /stream {
      proxy_http_version 1.0;
      proxy_pass http://127.0.0.1:${backendPort}/stream/unmarked;
      # For the page, which has another origin.
      add_header Access-Control-Allow-Origin *;
    }
  }
}
`;
}

/**
 * Stops an nginx and removes its directory if this process ends without doing so, such as by SIGKILL: the end of its
 * standard input tells a shell. Returns a function that ends the shell.
 */
function startGuard(executable: string, directory: string): () => void {
  // A closed terminal sends SIGHUP to all its processes, and nginx takes that as a reload.
  const script = `trap '' HUP INT TERM; read -r _; "$1" -p "$2" -c nginx.conf -e error.log -s stop; rm -rf "$2"`;
  const guard = spawn("sh", ["-c", script, "sh", executable, directory], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  // A machine without a shell; the demo works without the guard.
  guard.on("error", () => {});
  guard.stdin.on("error", () => {});
  return () => void guard.stdin.end();
}

async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Whether nginx listens: it writes its pid file after it has bound its port. */
async function listens(child: ChildProcess, directory: string): Promise<boolean> {
  const until = performance.now() + START_MS;
  while (performance.now() < until) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    if (existsSync(join(directory, "nginx.pid"))) return true;
    await sleep(20);
  }
  return false;
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await exited;
  clearTimeout(timer);
}
