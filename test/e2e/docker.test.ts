import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CommandResult, run } from "../support/command.ts";
import { type ComposeEnvironment, startComposeEnvironment } from "../support/docker-engine.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { stepsOf } from "../support/page-reader.ts";
import { blocksOf } from "../support/pages.ts";
import { ROOT } from "../support/sluice-process.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

/** Time for everything: programs, base images, the project's image, and the containers. */
const FROM_NOTHING_MS = 1_200_000;

const { version: VERSION } = createRequire(import.meta.url)("../../package.json") as { version: string };

let docker: ComposeEnvironment | undefined;
let whyNot = "";

beforeAll(async () => {
  const started = await startComposeEnvironment();
  if ("reason" in started) {
    whyNot = started.reason;
    return;
  }
  docker = started;
  await docker.compose("build", "sluice");
  const up = await docker.attempt("up", "--detach", "--wait", "--wait-timeout=240");
  if (up.code === 0) return;
  const logs = await docker.attempt("logs", "--tail=50");
  throw new Error(`the environment did not get healthy:\n${up.output}\n${logs.output}`);
}, FROM_NOTHING_MS);

afterAll(async () => docker?.close(), 180_000);

/** Defines a test on the Compose environment; without an engine it is skipped with the reason. */
const onEngine = (name: string, test: (environment: ComposeEnvironment) => Promise<void>) =>
  it(name, async ({ skip }) => {
    if (docker === undefined) return skip(whyNot);
    return test(docker);
  });

onEngine("passes its end-to-end checks, run by the e2e service", async (environment) => {
  const { code, output } = await environment.attempt("run", "--rm", "-T", "e2e");
  expect(output).toMatch(/pass [1-9]\d*/);
  expect(code, output).toBe(0);
});

onEngine("streams through the published port of each site", async (environment) => {
  for (const port of [8080, 8081]) {
    const address = await environment.address("nginx", port);
    const client = openStream(Number(address.split(":").at(-1)), { path: "/stream", headers: EVENT_SOURCE });
    await client.received("data: ");
    client.leave();
  }
});

onEngine("runs sluice as a user without rights, on a read-only root, and healthy", async (environment) => {
  expect((await environment.compose("exec", "-T", "sluice", "id", "-u")).trim()).toBe("1000");
  const write = await environment.attempt("exec", "-T", "--user=0", "sluice", "touch", "/app/file");
  expect(write.output).toContain("Read-only file system");
  expect(await stateOf(environment, "sluice")).toMatchObject({ Health: "healthy", State: "running" });
});

onEngine(
  "bakes an image with its labels and tags that adds less than 60 MB to its base",
  async (environment) => {
    const variables = {
      REPOSITORY: "sluice-baked",
      REVISION: "0123abc",
      SOURCE: "https://example.com/sluice",
    };
    await environment.bake(variables);
    const image = await environment.inspect(`sluice-baked:${VERSION}`);
    const base = await environment.inspect(environment.nodeImage);
    expect(image.RepoTags).toEqual(
      expect.arrayContaining([`sluice-baked:${VERSION}`, "sluice-baked:latest"]),
    );
    const labels = Object.entries(image.Config.Labels).map(([name, value]) => [
      name.split(".").at(-1),
      value,
    ]);
    expect(Object.fromEntries(labels)).toMatchObject({
      title: "sluice",
      description: expect.stringContaining("Server-Sent Events"),
      licenses: "MIT",
      version: VERSION,
      revision: "0123abc",
      source: "https://example.com/sluice",
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
    expect(image.Config.User).toBe("1000");
    const addedMb = (image.Size - base.Size) / 1e6;
    console.log(`the image adds ${addedMb.toFixed(1)} MB to its base`);
    expect(addedMb).toBeLessThan(60);
  },
);

onEngine("lets docker exec through to the engine's own API", async (environment) => {
  const gateway = await startGatewayTo(environment.api, { upgrade: ["tcp", "h2c"] });
  const container = (await environment.compose("ps", "--quiet", "sluice")).trim();
  await execThrough((...args) => environment.through(gateway.host, ...args), container);
  const upgraded = gateway.requestLines().filter(({ status }) => status === 101);
  expect(upgraded.map(({ endReason }) => endReason)).toEqual(["completed", "completed", "completed"]);
});

onEngine("with the compose file of Prometheus, /metrics answers to the token alone", async (environment) => {
  const [block] = blocksOf("docs/metrics.md").filter(({ text }) => text.includes("docker compose"));
  const [makeToken = ""] = block === undefined ? [] : stepsOf(block).map(({ command }) => command);
  const token = join(ROOT, "docker/observe/token");
  const isNew = !existsSync(token);
  if (isNew) await run("bash", ["-c", makeToken], { cwd: ROOT });
  const observed = (...args: readonly string[]) =>
    environment.compose(`--file=${ROOT}docker/observe/compose.yaml`, ...args);
  try {
    await observed("config", "--quiet");
    await observed("up", "--detach", "--wait", "--wait-timeout=120", "sluice");
    const ask = `const token = require("node:fs").readFileSync("/run/secrets/sluice-token", "utf8").trim();
      const status = async (headers) => (await fetch("http://127.0.0.1:9900/metrics", { headers })).status;
      status({ Authorization: "Bearer " + token }).then(async (yes) => console.log(yes, await status({})));`;
    expect((await observed("exec", "-T", "sluice", "node", "-e", ask)).trim()).toBe("200 401");
  } finally {
    // Without the secret, whose file may go.
    await environment.compose("up", "--detach", "--wait", "--wait-timeout=120", "sluice");
    if (isNew) await rm(token);
  }
});

onEngine("stops at SIGTERM with exit code 0, and without sluice the checks fail", async (environment) => {
  await environment.compose("stop", "--timeout=20", "sluice");
  // 137 would mean SIGKILL after the timeout: the signal did not reach the program.
  expect(await stateOf(environment, "sluice")).toMatchObject({ ExitCode: 0, State: "exited" });
  // The control: checks that cannot fail, or an exit code that is always 0, would prove nothing.
  const { code, output } = await environment.attempt(
    ...["run", "--rm", "-T", "--no-deps", "--env=DEADLINE_MS=200", "e2e"],
  );
  expect(code).not.toBe(0);
  expect(output).toMatch(/fail [1-9]\d*/);
  await environment.compose("start", "sluice");
});

type Docker = (args: readonly string[], input?: string) => Promise<CommandResult>;

/** Runs commands in a container, with output, exit codes and input. */
async function execThrough(docker: Docker, container: string): Promise<void> {
  const exec = await docker(["exec", container, "sh", "-c", "echo out; echo err >&2; exit 3"]);
  expect(exec).toMatchObject({ code: 3, stdout: "out\n" });
  expect(exec.output).toContain("err\n");
  // The client ends its half behind the input; the output that follows still arrives.
  const counted = await docker(
    ["exec", "-i", container, "sh", "-c", "wc -c; sleep 1; echo done"],
    "x".repeat(1e6),
  );
  expect(counted.stdout).toMatch(/^\s*1000000\ndone\n$/);
  const left = await docker(["exec", container, "sh", "-c", "head -c 2000000 /dev/zero | tr '\\0' x"]);
  expect(left.stdout).toHaveLength(2_000_000);
}

/** Parses the output of `docker compose ps`: an array before version 2.21, one object per line since. */
async function stateOf(environment: ComposeEnvironment, service: string): Promise<unknown> {
  const text = (await environment.compose("ps", "--all", "--format=json", service)).trim();
  return text.startsWith("[") ? JSON.parse(text)[0] : JSON.parse(text);
}
