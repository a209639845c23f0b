import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";
import { canConnect, stopProcess } from "./server-process.ts";

const EXECUTABLE = process.env["GUNICORN_PATH"] ?? "/usr/bin/gunicorn";

/** A WSGI application that reads the body and answers with the method. */
const APPLICATION = `
def app(environ, start):
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    body = environ["REQUEST_METHOD"].encode()
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
`;

/** Starts a real gunicorn with threads, the worker that keeps connections, and its defaults; returns its URL. */
export async function startGunicorn(): Promise<string> {
  if (!existsSync(EXECUTABLE))
    throw new Error(`no gunicorn at ${EXECUTABLE}: install the package gunicorn, or set GUNICORN_PATH`);
  const directory = await mkdtemp(join(tmpdir(), "sluice-gunicorn-"));
  const port = await refusedPort();
  await writeFile(join(directory, "echo.py"), APPLICATION);
  const bind = `127.0.0.1:${port}`;
  const flags = ["--worker-class", "gthread", "--threads", "32", "--bind", bind, "echo:app"];
  const child = spawn(EXECUTABLE, flags, { cwd: directory, stdio: "ignore" });
  afterTest(async () => {
    child.kill("SIGTERM");
    await stopProcess(child);
    await rm(directory, { recursive: true, force: true });
  });
  await eventually(() => canConnect(port), "gunicorn to listen", { everyMs: 50 });
  return `http://${bind}`;
}
