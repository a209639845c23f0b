import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, listening } from "../../bench/processes.mjs";
import { STYLE, visit } from "../visit.mjs";

export const packages = [];
export const label = "Flask (Python) with its own server";
// The server notices a client that leaves only when it writes the next part.
const { leave: _, ...others } = visit;
export const checks = others;

/** Flask asks this server for the parts, and runs in a process of its own. */
export async function backend(script) {
  const parts = createServer(async (_request, response) => {
    for await (const token of script.round.tokens()) response.write(`${token}\n`);
    response.end();
  }).listen(0, "127.0.0.1");
  const directory = mkdtempSync(join(tmpdir(), "sluice-field-flask-"));
  writeFileSync(join(directory, "style.css"), STYLE);
  const port = await freePort();
  const program = new URL("../flask_app.py", import.meta.url).pathname;
  const args = [program, `http://127.0.0.1:${parts.address().port}`, directory, `${port}`];
  const child = spawn("python3", args, { stdio: "ignore" });
  process.once("exit", () => {
    child.kill();
    rmSync(directory, { recursive: true, force: true });
  });
  await listening(child, port);
  return { port };
}
