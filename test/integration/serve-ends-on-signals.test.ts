import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import { performance } from "node:perf_hooks";
import { expect, onTestFinished, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, startSluice, writeFiles } from "../support/sluice-process.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const MOCK = 'match: { path: "/*" }\nmock: { status: 200, body: ok }\n';
const server = (drain: string) => `listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndrain: ${drain}\n`;

/** Serves a route to a backend, with one open stream. */
async function serveStream(drain: string, under: readonly string[] = []) {
  const backend = await startBackend();
  const cwd = directoryOf({
    "config/sluice.yaml": server(drain),
    "config/routes/main.yaml": `match: { path: "/*" }\nupstream: ${backend.url}\n`,
  });
  const sluice = startSluice(["serve"], { cwd, under });
  await sluice.logged("ready");
  const client = openStream(await sluice.port(), { headers: EVENT_SOURCE });
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: x\n\n");
  await client.received("data: x");
  const admin = `http://${String((await sluice.logged("admin listening"))["address"])}`;
  return { cwd, sluice, client, request, admin };
}

test("SIGTERM makes serve not ready, ends streams with a retry field, and exits with 0 within the timeout + 1 s", async () => {
  const { sluice, client, admin } = await serveStream("{ timeout: 2s, retry: 4s }");
  const ready = async () => (await fetch(`${admin}/readyz`)).status;
  expect(await ready()).toBe(200);
  const startedAt = performance.now();
  sluice.kill("SIGTERM");
  await eventually(async () => (await ready().catch(() => 503)) === 503, "not to be ready");
  expect(await client.ended()).toBe("clean");
  expect(client.text.endsWith("data: x\n\nretry: 4000\n\n")).toBe(true);
  expect(await sluice.ended).toMatchObject({ code: 0, stderr: "" });
  // One more second for a machine that stalls; a connection that delayed the end would do so for 5 s.
  expect(performance.now() - startedAt).toBeLessThan(4000);
});

test("a stream without an event boundary does not delay the end beyond the timeout + 1 s", async () => {
  const { sluice, client, request } = await serveStream("{ timeout: 1s }");
  request.emit("data: half");
  await client.received("half");
  const startedAt = performance.now();
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 0 });
  // Two more seconds for a busy machine; without the timeout there would be no end.
  expect(performance.now() - startedAt).toBeLessThan(4000);
  expect(await client.ended()).toBe("truncated");
});

test("SIGINT, from Ctrl-C, does not wait for the timeout", async () => {
  const { sluice, client } = await serveStream("{ timeout: 30s }");
  const startedAt = performance.now();
  sluice.kill("SIGINT");
  expect(await sluice.ended).toMatchObject({ code: 0 });
  expect(performance.now() - startedAt).toBeLessThan(4000);
  expect(await client.ended()).toBe("clean");
});

test("a second signal ends the process at once, with exit code 1", async () => {
  const { sluice } = await serveStream("{ delay: 20s, timeout: 20s }");
  sluice.kill("SIGTERM");
  await sluice.logged("stopping");
  const startedAt = performance.now();
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 1 });
  expect(performance.now() - startedAt).toBeLessThan(4000);
});

/** A key set that arrives only when the test allows it. */
async function slowIssuer(): Promise<{ url: string; asked: () => boolean }> {
  let isAsked = false;
  const issuer = createServer(() => {
    isAsked = true;
  });
  await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    issuer.closeAllConnections();
    issuer.close();
  });
  const address = issuer.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/keys`, asked: () => isAsked };
}

const secured = (jwks: string) => `${MOCK}auth: { jwt: { issuer: i, audience: a, jwks: "${jwks}" } }\n`;

test("SIGTERM during the start is a clean end, and nothing listens", async () => {
  const issuer = await slowIssuer();
  const cwd = directoryOf({
    "config/sluice.yaml": server("{ timeout: 1s }"),
    "config/routes/main.yaml": secured(issuer.url),
  });
  const sluice = startSluice(["serve"], { cwd });
  await eventually(issuer.asked, "the keys to be asked for", { timeoutMs: 15_000 });
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 0, stderr: "" });
  expect(sluice.lines().some(({ msg }) => msg === "listening" || msg === "ready")).toBe(false);
});

test("SIGTERM during one or many reloads is a clean end", async () => {
  const issuer = await slowIssuer();
  const { cwd, sluice, client } = await serveStream("{ timeout: 1s }");
  writeFiles(cwd, { "config/routes/secured.yaml": secured(issuer.url).replace("/*", "/secured") });
  await eventually(issuer.asked, "the keys to be asked for");
  for (let count = 0; count < 20; count++) sluice.kill("SIGHUP");
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 0, stderr: "" });
  expect(await client.ended()).toBe("clean");
  expect(sluice.lines().filter(({ msg }) => msg === "reloaded")).toEqual([]);
});

test("SIGHUP during the start does not end the process", async () => {
  const cwd = directoryOf({ "config/sluice.yaml": server("{}"), "config/routes/main.yaml": MOCK });
  const sluice = startSluice(["serve"], { cwd, env: { NODE_OPTIONS: `--import=${SIGNALLED_EARLY}` } });
  await sluice.logged("ready");
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 0 });
});

/** Sends SIGHUP to its own process as soon as a listener for it exists. */
const SIGNALLED_EARLY = `data:text/javascript,${encodeURIComponent(
  "process.on('newListener',(name)=>{if(name==='SIGHUP')setImmediate(()=>process.kill(process.pid,'SIGHUP'))})",
)}`;

const UNSHARE = ["unshare", "--fork", "--pid", "--kill-child"];
const mayUnshare = spawnSync("unshare", ["--fork", "--pid", "true"]).status === 0;

test("serve as process 1 of a container handles SIGTERM and drains", async () => {
  expect(mayUnshare, "unshare --pid, which root may").toBe(true);
  const say = `data:text/javascript,${encodeURIComponent("console.log(JSON.stringify({msg:'pid',pid:process.pid}))")}`;
  const backend = await startBackend();
  const cwd = directoryOf({
    "config/sluice.yaml": server("{ timeout: 1s }"),
    "config/routes/main.yaml": `match: { path: "/*" }\nupstream: ${backend.url}\n`,
  });
  const sluice = startSluice(["serve"], { cwd, under: UNSHARE, env: { NODE_OPTIONS: `--import=${say}` } });
  await sluice.logged("ready");
  expect(await sluice.logged("pid")).toMatchObject({ pid: 1 });
  const client = openStream(await sluice.port(), { headers: EVENT_SOURCE });
  (await backend.nextRequest()).openStream();
  await client.opened();
  // Only root of the outer namespace can signal it: it is the only child.
  const child = spawnSync("ps", ["-o", "pid=", "--ppid", String(sluice.pid)])
    .stdout.toString()
    .trim();
  process.kill(Number(child), "SIGTERM");
  expect(await client.ended()).toBe("clean");
  expect(await sluice.ended).toMatchObject({ code: 0 });
});

test("serve logs the limit of open files, and warns if it is low", async () => {
  const cwd = directoryOf({ "config/sluice.yaml": server("{}"), "config/routes/main.yaml": MOCK });
  const limited = (files: number) => ["sh", "-c", `ulimit -n ${files} && exec "$@"`, "sh"];
  const few = startSluice(["serve"], { cwd, under: limited(512) });
  expect(await few.logged("ready")).toMatchObject({ openFiles: 512 });
  expect(few.lines().some(({ level, openFiles }) => level === 40 && openFiles === 512)).toBe(true);
  const enough = startSluice(["serve"], { cwd, under: limited(8192) });
  expect(await enough.logged("ready")).toMatchObject({ openFiles: 8192 });
  expect(enough.lines().some(({ level }) => level === 40)).toBe(false);
});
