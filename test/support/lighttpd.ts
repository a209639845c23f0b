import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";
import { canConnect, stopProcess } from "./server-process.ts";

const EXECUTABLE = process.env["LIGHTTPD_PATH"] ?? "/usr/sbin/lighttpd";

/** Starts a real lighttpd with a CGI script at `/env.sh` that answers with its environment; returns its URL. */
export async function startLighttpd(): Promise<string> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`no lighttpd at ${EXECUTABLE}: install the package lighttpd, or set LIGHTTPD_PATH`);
  }
  const directory = await mkdtemp(join(tmpdir(), "sluice-lighttpd-"));
  const port = await refusedPort();
  await writeFile(join(directory, "env.sh"), "printf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\n");
  const text = [
    'server.modules = ("mod_cgi")',
    `server.document-root = "${directory}"`,
    'server.bind = "127.0.0.1"',
    `server.port = ${port}`,
    'cgi.assign = (".sh" => "/bin/sh")',
    "",
  ];
  await writeFile(join(directory, "lighttpd.conf"), text.join("\n"));
  const child = spawn(EXECUTABLE, ["-D", "-f", join(directory, "lighttpd.conf")], { stdio: "ignore" });
  afterTest(async () => {
    await stopProcess(child);
    await rm(directory, { recursive: true, force: true });
  });
  await eventually(() => canConnect(port), "lighttpd to listen", { timeoutMs: 15_000, everyMs: 50 });
  return `http://127.0.0.1:${port}`;
}
