import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { afterTest } from "../../support/after-test.ts";
import { startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { startGatewayTo } from "../../support/gateway.ts";

/** curl, for trying a stream by hand. */

/** curl's exit codes for an incomplete body: 18 by its framing, 56 by a reset. */
const BROKEN_EXITS = [18, 56];

function curl(...args: readonly string[]) {
  const child = spawn("curl", ["--no-buffer", "--silent", "--include", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  afterTest(() => {
    child.kill("SIGKILL");
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const exited = once(child, "close").then(([code]) => code as number | null);
  return {
    exited,
    printed: (text: string) => eventually(() => (output.includes(text) ? output : ""), `${text} from curl`),
    kill: () => child.kill("SIGKILL"),
  };
}

const versions = [
  ["HTTP/1.1", "--http1.1", "1.1"],
  ["HTTP/1.0", "--http1.0", "1.0"],
  // Without TLS curl asks to upgrade to h2c; sluice declines with a response in HTTP/1.1.
  ["an offer of HTTP/2", "--http2", "1.1"],
] as const;

it.each(versions)("prints each event of a stream at its arrival, over %s", async (_, flag, version) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = curl(flag, `${gateway.url}/stream`);
  const request = await backend.nextRequest();
  for (const name of ["upgrade", "http2-settings"]) expect(request.field(name)).toBeUndefined();
  request.openStream();
  const head = await client.printed("\r\n\r\n");
  expect(head).toMatch(/^HTTP\/1\.1 200 /);
  expect(/^transfer-encoding: chunked\r$/im.test(head)).toBe(version === "1.1");
  expect(/^connection: close\r$/im.test(head)).toBe(version === "1.0");
  for (const n of [1, 2, 3]) {
    request.emit(`data: number ${n}\n\n`);
    await client.printed(`data: number ${n}\n\n`);
  }
  request.endStream();
  expect(await client.exited).toBe(0);
});

it.each(versions)("fails when the backend dies, over %s", async (_, flag) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = curl(flag, `${gateway.url}/stream`);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: number 1\n\n");
  await client.printed("data: number 1\n\n");
  request.reset();
  expect(BROKEN_EXITS).toContain(await client.exited);
});

it.each(versions)("ends the backend request when it is killed, over %s", async (_, flag) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = curl(flag, `${gateway.url}/stream`);
  const request = await backend.nextRequest();
  request.openStream();
  await client.printed("\r\n\r\n");
  client.kill();
  await eventually(() => request.connection.closedBy, "the cancellation at the backend");
});

it("posts and reads the stream in the response, after an Expect: 100-continue", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  // curl sends Expect by itself only with a megabyte or more; it then waits a second for the 100.
  const client = curl(
    "--header",
    "Expect: 100-continue",
    "--expect100-timeout",
    "60",
    "--data",
    "question",
    `${gateway.url}/answers`,
  );
  const request = await backend.nextRequest();
  expect((await request.wholeBody()).toString()).toBe("question");
  request.openStream();
  request.emit("data: answer\n\n");
  await client.printed("data: answer\n\n");
  request.endStream();
  expect(await client.exited).toBe(0);
});
