import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { refusedPort } from "../support/backend.ts";
import { attempt } from "../support/command.ts";
import { startNginx } from "../support/nginx.ts";
import { BUILDS, testConfiguration } from "../support/nginx-lab.ts";
import { nginxBlocks } from "../support/nginx-page.ts";
import { type Block, blocksOf } from "../support/pages.ts";
import { directoryOf, ROOT, startSluice } from "../support/sluice-process.ts";

const EVENTS = 10;
const GAP_MS = 500;

/** The backend of the page: ten events, then the end. */
async function startTenEvents(): Promise<number> {
  const server = createServer((_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    response.flushHeaders();
    let i = 0;
    const send = () => {
      i += 1;
      response.write(`id: ${i}\ndata: ${new Date().toISOString()}\n\n`);
      if (i === EVENTS) response.end();
    };
    send();
    const timer = setInterval(() => (i < EVENTS ? send() : clearInterval(timer)), GAP_MS);
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

/** Follows a page block by block like a reader, with free ports instead of the page's. */
class Reader {
  readonly #directory = directoryOf({});
  readonly #ports = new Map<string, number>();

  async start(): Promise<void> {
    this.#ports.set("3000", await startTenEvents());
    this.#ports.set("8000", await refusedPort());
  }

  async follow({ language, text }: Block): Promise<void> {
    if (language === "nginx" && text.startsWith("# site.conf\n")) this.#write(text);
    else if (language === "sh") await this.#serve(text);
    else if (language === "console") await this.#runAll(text);
  }

  #write(text: string): void {
    writeFileSync(join(this.#directory, "site.conf"), text);
  }

  async #serve(line: string): Promise<void> {
    const [program, ...args] = this.#toReal(line.trim()).split(" ");
    expect(program).toBe("sluice");
    await startSluice(args, { cwd: this.#directory }).logged("ready");
  }

  async #runAll(text: string): Promise<void> {
    for (const part of text.split(/^\$ /m).slice(1)) {
      const [command = "", ...lines] = part.split("\n");
      if (command.startsWith("sluice probe")) await this.#startNginx();
      const [program, ...args] = this.#toReal(command).split(" ");
      expect(program).toBe("sluice");
      const { stdout, output } = await attempt(process.execPath, [`${ROOT}dist/cli/main.js`, ...args], {
        cwd: this.#directory,
      });
      // Standard error comes after the findings, because the order of two pipes is not certain.
      const said =
        stdout +
        output
          .split("\n")
          .filter((line) => !stdout.includes(line))
          .join("\n");
      expect(comparable(this.#toPage(said))).toEqual(comparable(lines.join("\n")));
    }
  }

  /** Loads the current site, with HTTP/1.0 as the default, as before 1.29.7. */
  async #startNginx(): Promise<void> {
    const site = readFileSync(join(this.#directory, "site.conf"), "utf8");
    const text = this.#toReal(site).replace("listen 8080;", "listen ${PLAIN_LISTEN};");
    const nginx = await startNginx({ template: { text }, upstream: "unused", httpVersion: "1.0" });
    this.#ports.set("8080", nginx.port);
  }

  #toReal(text: string): string {
    return text.replaceAll(/127\.0\.0\.1:(\d+)/g, (whole, port: string) => {
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

/** Removes the parts that differ from run to run: times, column widths, the number of events at once. */
const comparable = (text: string): string[] =>
  text
    .replaceAll(/\b\d+(?:\.\d+)? m?s\b/g, "TIME")
    .replaceAll(/: \d+ came /g, ": SOME came ")
    .replaceAll(/(?<=\S) {2,}/g, "  ")
    .trimEnd()
    .split("\n");

/** Retried, because a machine that stalls makes streams late by itself. */
describe("docs/nginx.md", { retry: 2 }, () => {
  test("its commands, run in order, print its output", async () => {
    const reader = new Reader();
    await reader.start();
    const blocks = blocksOf("docs/nginx.md");
    expect(blocks.filter(({ language }) => language === "console").length).toBeGreaterThan(2);
    for (const block of blocks) await reader.follow(block);
  });

  test("the verdict in the README is the verdict of a run", async () => {
    const reader = new Reader();
    await reader.start();
    const site = blocksOf("docs/nginx.md").find(({ language }) => language === "nginx");
    const verdicts = blocksOf("README.md").filter(({ text }) => text.startsWith("$ sluice probe"));
    expect(verdicts).toHaveLength(1);
    for (const block of [site, ...verdicts]) if (block !== undefined) await reader.follow(block);
  });
});

describe.each(BUILDS)("nginx $version", (build) => {
  test.each(nginxBlocks())("takes the configuration at line $line of docs/nginx.md", ({ text }) => {
    expect(testConfiguration(text, build)).toEqual({ isTaken: true, said: "" });
  });
});
