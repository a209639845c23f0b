import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { attempt, type CommandSetup } from "./command.ts";
import { eventually } from "./eventually.ts";
import type { Block } from "./pages.ts";
import { directoryOf, ROOT, START_MS, startSluice } from "./sluice-process.ts";

/** A command of a page, and the output that the page shows; undefined for a block without output. */
interface Step {
  readonly command: string;
  readonly shown: readonly string[] | undefined;
}

/**
 * Follows one section of a page as a reader does: saves its files and runs its commands.
 *
 * Free ports replace those of the page: 8080 and 3000 are backends, 8000 is the gateway. The first command that uses
 * port 8000 starts a gateway with the files that have been saved so far.
 */
export class PageReader {
  readonly #directory: string;
  readonly #ports = new Map<string, number>();
  #isServing = false;

  constructor() {
    this.#directory = directoryOf({});
    const program = join(this.#directory, "bin/sluice");
    mkdirSync(dirname(program));
    writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${ROOT}dist/cli/main.js" "$@"\n`);
    chmodSync(program, 0o755);
  }

  async start(): Promise<void> {
    this.#ports.set("8080", await startClock({ gapMs: 200 }));
    this.#ports.set("3000", await startClock({ gapMs: 200, events: 10 }));
    this.#ports.set("8000", await refusedPort());
  }

  /** Saves a block whose first line names a file, also if it is marked as `(wrong)`. */
  save({ text }: Block): void {
    const name = /^# ((?:config\/|site\.)[\w./-]+)/.exec(text)?.[1];
    if (name !== undefined) this.#write(name, this.#toReal(text));
  }

  /** Runs the commands of a block. Returns the output of each and that of the page, both in comparable form. */
  async run(block: Block): Promise<readonly { command: string; seen: string[]; shown: string[] }[]> {
    const results = [];
    for (const { command, shown } of stepsOf(block)) {
      const seen = await this.#execute(command, shown);
      const isPart = shown !== undefined && command.startsWith("curl -i");
      const lines = comparable(this.#toPage(seen));
      // A page shows only some fields of a response head.
      const kept = isPart ? lines.filter((line) => comparable(shown.join("\n")).includes(line)) : lines;
      const wanted = shown === undefined ? lines : comparable(shown.join("\n"));
      results.push({
        command,
        seen: isPart ? kept.toSorted() : kept,
        shown: isPart ? wanted.toSorted() : wanted,
      });
    }
    return results;
  }

  /** Starts the gateway for one backend, for a section whose commands expect a running gateway. */
  async serve(backend: string): Promise<void> {
    await this.#startGateway(["--to", this.#toReal(backend)]);
  }

  async #execute(command: string, shown: readonly string[] | undefined): Promise<string> {
    if (command.startsWith("sluice serve")) {
      const [, , ...flags] = this.#toReal(command).split(" ");
      await this.#startGateway(flags);
      return "";
    }
    if (/127\.0\.0\.1:8000|www\.example\.com/.test(command) && !command.startsWith("sluice sign"))
      await this.#startGateway([]);
    if (command.startsWith("curl -N"))
      return await firstLines(this.#toReal(command), shown?.length ?? 1, this.#setup());
    // Without a terminal, curl prints its progress.
    const quiet = this.#toReal(command).replace(/^curl /, "curl --silent ");
    const { code, stdout, output } = await attempt("bash", ["-c", quiet], this.#setup());
    // A page may show a command that fails; a command without shown output must succeed.
    if (code !== 0 && shown === undefined) throw new Error(`${command}: exit code ${code}\n${output}`);
    // Standard error comes last: the order of the two pipes varies.
    const lines = stdout.split("\n");
    const errors = output.split("\n").filter((line) => !lines.includes(line));
    if (command.startsWith("sluice sign") && this.#hasRoutes()) await this.#sendSigned(stdout.trim());
    return `${stdout}${errors.join("\n")}`.trim();
  }

  #hasRoutes(): boolean {
    return existsSync(join(this.#directory, "config/routes"));
  }

  /** Runs the printed curl line; the routes of the section must accept it. */
  async #sendSigned(command: string): Promise<void> {
    await this.#startGateway([]);
    const answer = await firstLines(`${command} --include`, 1, this.#setup());
    if (!answer.startsWith("HTTP/1.1 200")) throw new Error(`${command}: ${answer}`);
  }

  async #startGateway(flags: readonly string[]): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    const listen = `127.0.0.1:${this.#ports.get("8000")}`;
    const isBare = flags.includes("--to");
    if (!isBare && !this.#hasRoutes())
      this.#write("config/routes/any.yaml", "match: { path: /* }\nmock: { status: 204 }\n");
    if (!isBare && !existsSync(join(this.#directory, "config/sluice.yaml")))
      this.#write("config/sluice.yaml", `listen: ${listen}\nadmin: false\n`);
    const address = isBare && !flags.includes("--listen") ? ["--listen", listen] : [];
    const { env, cwd } = this.#setup();
    await startSluice(["serve", ...flags, ...address], { env, cwd }).logged("ready");
  }

  #setup(): { cwd: string; env: Record<string, string> } {
    const secrets = ["SHOP_SECRET", "SHOP_APP_CODE", "GATEWAY_SECRET", "APP_KEY", "APP_SECRET"];
    const env = Object.fromEntries(secrets.map((name) => [name, name.padEnd(64, "x")]));
    return {
      cwd: this.#directory,
      env: { ...env, PATH: `${join(this.#directory, "bin")}:${process.env["PATH"]}` },
    };
  }

  #write(name: string, text: string): void {
    const path = join(this.#directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  #toReal(text: string): string {
    return text
      .replaceAll("https://www.example.com", "http://127.0.0.1:8000")
      .replaceAll(/127\.0\.0\.1:(\d+)/g, (whole, port: string) => {
        const real = this.#ports.get(port);
        return real === undefined ? whole : `127.0.0.1:${real}`;
      });
  }

  #toPage(text: string): string {
    let page = text;
    for (const [port, real] of this.#ports) page = page.replaceAll(`127.0.0.1:${real}`, `127.0.0.1:${port}`);
    return page;
  }
}

/** Reads `count` lines of an endless stream with a curl command, and then ends the command. */
export async function firstLines(command: string, count: number, setup: CommandSetup = {}): Promise<string> {
  const child = spawn("bash", ["-c", `exec ${command} --silent`], {
    ...setup,
    env: { ...process.env, ...setup.env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  try {
    const isEnough = () => text.split("\n").length > count;
    await eventually(isEnough, `${count} lines of ${command}`, { timeoutMs: START_MS });
  } finally {
    child.kill("SIGTERM");
    await closed;
  }
  return text.split("\n").slice(0, count).join("\n");
}

/** The commands of a block: in a console block the lines with `$`, in a shell block every line. */
export function stepsOf({ language, text }: Block): readonly Step[] {
  if (language === "sh") {
    const lines = text.trim().split("\n");
    return lines.map((command) => ({ command, shown: undefined }));
  }
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = "", ...shown] = part.trimEnd().split("\n");
      return { command, shown };
    });
}

/** The lines without values that differ in each run: times, ids, signatures, widths of columns. */
function comparable(text: string): string[] {
  return text
    .replaceAll("\r", "")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replaceAll(/\d{8}T\d{6}Z/g, "TIME")
    .replaceAll(/\b[0-9a-z]{8}-\d+\b/g, "ID")
    .replaceAll(/\b[0-9a-f]{64}\b/g, "HASH")
    .replaceAll(/(?<=\S) {2,}/g, "  ")
    .trimEnd()
    .split("\n");
}

/** Starts a backend that sends the time as an event stream, endless without `events`. Returns its port. */
export async function startClock({ gapMs, events = Number.POSITIVE_INFINITY }: ClockSetup): Promise<number> {
  const server = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    let count = 0;
    const send = () => {
      count++;
      response.write(`id: mwtt6e2l-${count}\ndata: ${new Date().toISOString()}\n\n`);
      if (count === events) response.end();
    };
    send();
    const timer = setInterval(() => (count < events ? send() : clearInterval(timer)), gapMs);
    response.on("close", () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  afterTest(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

interface ClockSetup {
  readonly gapMs: number;
  readonly events?: number;
}
