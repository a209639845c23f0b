import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { attempt, type CommandResult, run } from "./command.ts";
import { type Engine, runningEngine, startEngine } from "./docker/engine.ts";
import { buildStandIns } from "./docker/images.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const COMPOSE_FILE = join(ROOT, "docker/compose.yaml");
const BAKE_FILE = join(ROOT, "docker/docker-bake.hcl");
const NODE_IMAGE = "node:24-bookworm-slim";
/** A project name of its own, because the test removes its containers at the end. */
const PROJECT = "sluice-test";

const DEFAULT_API = "unix:///var/run/docker.sock";

/** The reason why no engine is available: on a developer's machine the tests skip, in CI they fail. */
export interface NoEngine {
  readonly reason: string;
}

/** A part of what an engine knows of an image. */
export interface ImageFacts {
  /** In bytes, with its base. */
  readonly Size: number;
  readonly RepoTags: readonly string[];
  readonly Config: { readonly User: string; readonly Labels: Readonly<Record<string, string>> };
}

/** The project's Compose environment on an engine. */
export interface ComposeEnvironment {
  /** Runs `docker compose …`, which must succeed; returns its standard output. */
  compose(...args: readonly string[]): Promise<string>;
  /** Runs `docker compose …` with any exit code. */
  attempt(...args: readonly string[]): Promise<CommandResult>;
  /** Builds the image with the bake file and these values of its variables. */
  bake(variables: Readonly<Record<string, string>>): Promise<void>;
  /** Parses what `docker image inspect` says of an image. */
  inspect(image: string): Promise<ImageFacts>;
  /** The base image of ours. */
  readonly nodeImage: string;
  /** Runs `docker …`, with any exit code, on the engine's API at a TCP address such as 127.0.0.1:8000. */
  through(address: string, args: readonly string[], input?: string): Promise<CommandResult>;
  /** The unix socket of the engine's API, as a backend: `unix:/run/docker.sock`. */
  readonly api: string;
  /** Returns the host address on which a container's port is published. */
  address(service: string, port: number): Promise<string>;
  /** Removes the containers, and stops the engine if the test started it. */
  close(): Promise<void>;
}

/** The cache of programs and image parts that later runs reuse. */
const cacheDirectory = (): string =>
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "sluice-test-engine");

async function ownEngine(cache: string): Promise<Engine | NoEngine> {
  if (process.env["CI"] !== "true") {
    return { reason: "no Docker engine answers; start one, or set CI=true to have the test start its own" };
  }
  if (process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) {
    throw new Error("no Docker engine is running, and only root on Debian can start one for the test");
  }
  await mkdir(cache, { recursive: true });
  return startEngine(cache);
}

function environmentOn(engine: Engine, images: Readonly<Record<string, string>>): ComposeEnvironment {
  const env = {
    ...engine.env,
    ...images,
    SLUICE_IMAGE: PROJECT,
    // Fixed ports could be in use on this machine.
    PLAIN_PORT: "0",
    RECOMMENDED_PORT: "0",
  };
  const words = (args: readonly string[]) => [
    "compose",
    "--ansi=never",
    "--progress=plain",
    `--project-name=${PROJECT}`,
    `--file=${COMPOSE_FILE}`,
    ...args,
  ];
  const compose = (...args: readonly string[]) => run("docker", words(args), { env });
  return {
    compose,
    nodeImage: images["NODE_IMAGE"] ?? NODE_IMAGE,
    async bake(variables) {
      await run("docker", ["buildx", "bake", "--progress=plain", "--file", BAKE_FILE], {
        cwd: ROOT,
        env: { ...env, ...variables },
      });
    },
    async inspect(image) {
      const [facts] = JSON.parse(await run("docker", ["image", "inspect", image], { env })) as [ImageFacts];
      return facts;
    },
    attempt: (...args) => attempt("docker", words(args), { env }),
    through: (address, args, input) =>
      attempt("docker", ["--host", `tcp://${address}`, ...args], {
        env,
        timeoutMs: 60_000,
        ...(input !== undefined && { input }),
      }),
    api: (engine.env["DOCKER_HOST"] ?? process.env["DOCKER_HOST"] ?? DEFAULT_API).replace("unix://", "unix:"),
    async address(service, port) {
      return (await compose("port", service, String(port))).trim();
    },
    async close() {
      try {
        await compose("--profile=e2e", "down", "--volumes", "--remove-orphans", "--timeout=5");
      } finally {
        await engine.stop();
      }
    },
  };
}

/**
 * Starts the Compose environment on a running engine, with the official base images; else, with CI=true, on an engine
 * of the test's own with substitutes for these images.
 */
export async function startComposeEnvironment(): Promise<ComposeEnvironment | NoEngine> {
  const running = await runningEngine();
  if (running !== undefined) return environmentOn(running, {});
  const cache = cacheDirectory();
  const engine = await ownEngine(cache);
  if ("reason" in engine) return engine;
  try {
    const images = await buildStandIns(cache, (args) => run("docker", args, { env: engine.env }));
    console.log(
      "The base images are stand-ins: Debian's nginx with a short entrypoint, and node from its npm package. " +
        "This shows that our files build, start and work together on a real engine, " +
        "not that the official images behave the same.",
    );
    return environmentOn(engine, { ...images });
  } catch (error) {
    await engine.stop();
    throw error;
  }
}
