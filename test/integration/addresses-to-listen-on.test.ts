import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";

const ROUTE = 'match: { path: "/*" }\nmock: { status: 200, body: ok }\n';

const configOf = (listen: readonly string[], more = "admin: false\n") =>
  directoryOf({
    "config/sluice.yaml": `listen: ${JSON.stringify(listen)}\n${more}`,
    "config/routes/main.yaml": ROUTE,
  });

const serve = (cwd: string) => startSluice(["serve"], { cwd });

/** Creates a unix socket whose process was killed. */
async function abandonedSocket(path: string): Promise<void> {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  expect(existsSync(path)).toBe(true);
}

async function listenOn(path: string): Promise<void> {
  const server = createServer((socket) => {
    // A process that only checks for a listener disconnects at once.
    socket.on("error", () => {});
    socket.end("somebody else");
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  afterTest(() => void server.close());
}

const answerOf = async (path: string) => {
  const socket = connect(path);
  socket.setEncoding("utf8").write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
};

describe("addresses to listen on", () => {
  test("a port in use is reported with the address and the key, exit code 2", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    afterTest(() => void other.close());
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const cwd = configOf([`127.0.0.1:${port}`]);
    const { code, stderr, stdout } = await serve(cwd).ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe(
      `./config/sluice.yaml listen: cannot listen on 127.0.0.1:${port}: the address is in use (EADDRINUSE)\n`,
    );
  });

  test("the admin's port in use is reported with its key, exit code 2, and no listener stays open", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    afterTest(() => void other.close());
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const path = join(directoryOf({}), "s");
    const cwd = configOf([`unix:${path}`], `admin: 127.0.0.1:${port}\n`);
    expect(await serve(cwd).ended).toEqual({
      code: 2,
      stdout: "",
      stderr: `./config/sluice.yaml admin: cannot listen on 127.0.0.1:${port}: the address is in use (EADDRINUSE)\n`,
    });
    expect(existsSync(path)).toBe(false);
  });

  test("without IPv6 a port alone still works, and an IPv6 address is reported as missing", async () => {
    const off = "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set lo up";
    const under = ["unshare", "--net", "--kill-child", "--fork", "sh", "-c", `${off}; exec "$@"`, "sh"];
    const server = startSluice(["serve"], { cwd: configOf(["0"]), under });
    await server.logged("ready");
    const { code, stderr } = await startSluice(["serve"], { cwd: configOf(["[::1]:0"]), under }).ended;
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        "./config/sluice.yaml listen: cannot listen on [::1]: this machine has no such address (EADDRNOTAVAIL)\n",
    });
  });

  test("a unix socket without a listener is taken over", async () => {
    const path = join(directoryOf({}), "s");
    await abandonedSocket(path);
    const server = serve(configOf([`unix:${path}`]));
    await server.logged("ready");
    expect(await answerOf(path)).toContain("\r\n\r\nok");
  });

  test("a unix socket with a listener is not taken over", async () => {
    const path = join(directoryOf({}), "s");
    await listenOn(path);
    const { code, stderr } = await serve(configOf([`unix:${path}`])).ended;
    expect(code).toBe(2);
    expect(stderr).toContain(`cannot listen on unix:${path}: the address is in use (EADDRINUSE)`);
    expect(await answerOf(path)).toBe("somebody else");
  });

  test("a file that is not a socket is not removed", async () => {
    const path = join(directoryOf({}), "precious");
    writeFileSync(path, "do not lose");
    const { code, stderr } = await serve(configOf([`unix:${path}`])).ended;
    expect(code).toBe(2);
    expect(stderr).toContain(`cannot listen on unix:${path}`);
    expect(readFileSync(path, "utf8")).toBe("do not lose");
  });

  test("if one of two addresses is in use, the other does not stay open", async () => {
    const directory = directoryOf({});
    const [free, taken] = [join(directory, "free"), join(directory, "taken")];
    await listenOn(taken);
    const { code } = await serve(configOf([`unix:${free}`, `unix:${taken}`])).ended;
    expect({ code, isLeft: existsSync(free) }).toEqual({ code: 2, isLeft: false });
  });

  test.each([
    ["a machine without the address", "[2001:db8::1]:0", "this machine has no such"],
    ["a missing directory", "unix:/nowhere/at/all/s", "(E"],
  ])("%s", async (_, listen, said) => {
    const { code, stderr } = await serve(configOf([listen])).ended;
    expect(code).toBe(2);
    expect(stderr).toContain(said);
    expect(stderr.split("\n")).toHaveLength(2);
  });

  test("a privileged port is reported to a user without the right", async () => {
    const cwd = configOf(["127.0.0.1:81"]);
    const under = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"];
    const guarded = [
      "unshare",
      "--net",
      "sh",
      "-c",
      'ip link set lo up 2>/dev/null; exec "$@"',
      "sh",
      ...under,
    ];
    const { code, stderr } = await startSluice(
      ["serve", "--to", "http://127.0.0.1:1", "--listen", "127.0.0.1:81"],
      {
        cwd,
        under: guarded,
      },
    ).ended;
    expect(code).toBe(2);
    expect(stderr).toMatch(/cannot listen on 127\.0\.0\.1:81: ports below 1024 need root .* \(EACCES\)/);
  });
});
