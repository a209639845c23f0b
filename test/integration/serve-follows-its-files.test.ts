import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { View } from "../../src/admin/admin-view.ts";
import { viewsIn } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, startSluice, writeFiles } from "../support/sluice-process.ts";
import { openStream } from "../support/sse-client.ts";

const SERVER = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndrain: { timeout: 1s }\n";

/** A route file with a mock that says which version of the configuration it is. */
const saying = (body: string | number, path = "/*") =>
  `match: { path: "${path}" }\nmock: { status: 200, body: "${body}" }\n`;

async function serve(files: Readonly<Record<string, string>>, directory = "config") {
  const cwd = directoryOf({ "config/sluice.yaml": SERVER, ...files });
  const server = startSluice(["serve", "--config", directory], { cwd });
  await server.logged("ready");
  const port = await server.port();
  const ask = async (path = "/") => await (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  const admin = `http://${String((await server.logged("admin listening"))["address"])}`;
  const reloads = async () => {
    const text = await (await fetch(`${admin}/metrics`)).text();
    const count = (result: string) =>
      Number(new RegExp(`^sluice_config_reloads_total\\{result="${result}"\\} (\\d+)$`, "m").exec(text)?.[1]);
    return { success: count("success"), failure: count("failure") };
  };
  const says = (body: string, path?: string) =>
    eventually(async () => (await ask(path)) === body, `${body} from the gateway`);
  return { cwd, server, port, admin, ask, says, reloads };
}

test("a file that is written, replaced or removed causes a reload", async () => {
  const { cwd, says, reloads } = await serve({ "config/routes/main.yaml": saying("one") });
  await says("one");
  writeFiles(cwd, { "config/routes/main.yaml": saying("two") });
  await says("two");
  // Most editors save like this: a new file replaces the old one.
  writeFiles(cwd, { "config/routes/.main.yaml.new": saying("three") });
  renameSync(join(cwd, "config/routes/.main.yaml.new"), join(cwd, "config/routes/main.yaml"));
  await says("three");
  writeFiles(cwd, { "config/routes/more.yaml": saying("more", "/more") });
  await says("more", "/more");
  rmSync(join(cwd, "config/routes/more.yaml"));
  await says("three", "/more");
  expect((await reloads()).failure).toBe(0);
});

test("serve logs the warnings of check, at the start and after a reload", async () => {
  const guarded = (header: string) =>
    `match: { path: /*, header: { ${header} } }\nmock: {}\naccess: { allow: [10.0.0.0/8] }\n`;
  const { cwd, server } = await serve({
    "config/routes/all.yaml": saying("all"),
    "config/routes/one.yaml": guarded("X-V: 1"),
  });
  const warning = (header: string) =>
    `config/routes/one.yaml match: a client that adds or omits ${header} avoids the auth and access of this route: the route all has none; match.header and match.query choose a version and protect nothing`;
  const logged = async (index: number) => (await server.logged("config has warnings", index))["warnings"];
  expect(await logged(0)).toEqual([warning("X-V: 1")]);
  writeFiles(cwd, { "config/routes/one.yaml": guarded("X-V: 2") });
  expect(await logged(1)).toEqual([warning("X-V: 2")]);
});

test("a change of defaults causes a reload of the routes that use them", async () => {
  const { cwd, port, server } = await serve({ "config/routes/main.yaml": saying("one") });
  const served = async () => (await fetch(`http://127.0.0.1:${port}/`)).headers.get("x-served-by");
  expect(await served()).toBeNull();
  const defaults = "defaults: { headers: { response: { set: { X-Served-By: sluice } } } }\n";
  writeFiles(cwd, { "config/sluice.yaml": SERVER + defaults });
  await eventually(async () => (await served()) === "sluice", "the field of the defaults");
  expect(await server.logged("reloaded")).toMatchObject({ changed: ["main"] });
});

test("a change of a Kubernetes ConfigMap, which swaps a link, causes a reload", async () => {
  const cwd = directoryOf({
    "config/..1/sluice.yaml": SERVER,
    "config/..1/main.yaml": saying("one"),
    "config/..2/sluice.yaml": SERVER,
    "config/..2/main.yaml": saying("two"),
  });
  const config = join(cwd, "config");
  symlinkSync("..1", join(config, "..data"));
  symlinkSync("..data/sluice.yaml", join(config, "sluice.yaml"));
  mkdirSync(join(config, "routes"));
  symlinkSync("../..data/main.yaml", join(config, "routes/main.yaml"));
  const server = startSluice(["serve", "--config", "config"], { cwd });
  await server.logged("ready");
  const ask = async () => await (await fetch(`http://127.0.0.1:${await server.port()}/`)).text();
  expect(await ask()).toBe("one");
  symlinkSync("..2", join(config, "..data_tmp"));
  renameSync(join(config, "..data_tmp"), join(config, "..data"));
  await eventually(async () => (await ask()) === "two", "the swapped files");
});

test("a change of a secret's file outside the directory causes a reload", async () => {
  const cwd = directoryOf({ "secrets/a": "first-secret\n" });
  writeFiles(cwd, {
    "config/sluice.yaml": SERVER,
    "config/apps.yaml": `web: { key: k, secret: "file:${join(cwd, "secrets/a")}" }\n`,
    "config/routes/main.yaml": `${saying("ok")}auth: { app: [web] }\n`,
  });
  const server = startSluice(["serve", "--config", "config"], { cwd });
  await server.logged("ready");
  writeFileSync(join(cwd, "secrets/a"), "second-secret\n");
  const { changed } = await server.logged("reloaded");
  expect(changed).toEqual(["main"]);
});

test("with any problem in the files, the current configuration is kept and the problem is logged", async () => {
  const { cwd, server, ask, says, reloads } = await serve({ "config/routes/main.yaml": saying("good") });
  const route = join(cwd, "config/routes/main.yaml");
  const faults: readonly (readonly [make: () => void, said: string])[] = [
    [() => writeFileSync(route, "match: [\n"), "config/routes/main.yaml:"],
    [() => writeFileSync(route, saying("x").replace("mock", "mok")), "config/routes/main.yaml:2:1 mok"],
    [() => writeFileSync(route, Buffer.from([0x6d, 0x00, 0xff])), "config/routes/main.yaml"],
    [() => rmSync(route), "config/routes: empty"],
    [() => symlinkSync("main.yaml", route), "too many levels of symbolic links"],
    [
      () => {
        rmSync(route);
        mkdirSync(route);
      },
      "expected a file, but it is a directory",
    ],
    [() => rmSync(join(cwd, "config"), { recursive: true }), "config: does not exist"],
  ];
  const rejections = () => server.lines().filter(({ code }) => code === "config_rejected");
  for (const [make, said] of faults) {
    make();
    const isSaid = () =>
      rejections().some(({ problems }) => (problems as string[]).join("\n").includes(said));
    await eventually(isSaid, `a rejection that says ${said}`);
    expect(await ask()).toBe("good");
  }
  // The log arrives independently of the metrics.
  await eventually(async () => (await reloads()).failure === rejections().length, "the count of rejections");
  // The directory is a new one now; it is watched too.
  writeFiles(cwd, { "config/sluice.yaml": SERVER, "config/routes/main.yaml": saying("back") });
  await says("back");
});

test("the dashboard has the problems of a rejected configuration until the files are as before", async () => {
  const { cwd, admin } = await serve({ "config/routes/main.yaml": saying("good") });
  const feed = openStream(Number(new URL(admin).port), { path: "/api/events" });
  const last = () => viewsIn<View>(feed.text).at(-1)?.reloads.last;
  writeFiles(cwd, { "config/routes/main.yaml": "match: {}\n" });
  await eventually(() => last()?.result === "failure", "the rejection");
  expect(last()?.problems[0]).toContain("config/routes/main.yaml:1:1 match.path");
  writeFiles(cwd, { "config/routes/main.yaml": saying("good") });
  await eventually(() => last()?.result === "success", "the end of the rejection");
  expect(last()?.problems).toEqual([]);
});

test("SIGHUP with a problem logs and counts it each time, and ends nothing", async () => {
  const { cwd, server, ask, reloads } = await serve({ "config/routes/main.yaml": saying("good") });
  writeFiles(cwd, { "config/routes/main.yaml": "match: {}\n" });
  await eventually(async () => (await reloads()).failure === 1, "the file's own rejection");
  server.kill("SIGHUP");
  await eventually(async () => (await reloads()).failure === 2, "the rejection that was asked for");
  expect(await ask()).toBe("good");
});

test("100 SIGHUPs in a second cause few reloads, the last content applies, and no stream ends", async () => {
  const backend = await startBackend();
  const stream = `match: { path: /stream }\nupstream: ${backend.url}\n`;
  const { cwd, server, port, says, reloads } = await serve({
    "config/routes/main.yaml": saying("0"),
    "config/routes/stream.yaml": stream,
  });
  const client = openStream(port, { path: "/stream" });
  const request = await backend.nextRequest();
  request.openStream();
  const startedAt = performance.now();
  for (let count = 1; count <= 100; count++) {
    writeFiles(cwd, { "config/routes/main.yaml": saying(count) });
    server.kill("SIGHUP");
    await eventually(() => performance.now() - startedAt >= count * 10, "the next hundredth of a second");
  }
  await says("100");
  const { success, failure } = await reloads();
  expect(success).toBeLessThan(20);
  // A half-written file may be read; it changes nothing.
  expect(failure).toBeLessThan(20);
  request.emit("data: on\n\n");
  await client.received("data: on");
  expect(client.end).toBeUndefined();
});

test("keys that need a restart keep their values, and the log names them", async () => {
  const { cwd, server, says } = await serve({ "config/routes/main.yaml": saying("one") });
  const changed = `${SERVER}redis: redis://127.0.0.1:1\nadminToken: ${"t".repeat(32)}\n`;
  writeFiles(cwd, { "config/sluice.yaml": changed, "config/routes/main.yaml": saying("two") });
  await says("two");
  const line = await server.logged("changes of these keys need a restart");
  expect(line).toMatchObject({ keys: ["adminToken", "redis"] });
});
