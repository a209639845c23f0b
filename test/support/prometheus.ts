import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";
import { stopProcess } from "./server-process.ts";
import { directoryOf } from "./sluice-process.ts";

const EXECUTABLE = process.env["PROMETHEUS_PATH"] ?? "/usr/bin/prometheus";

/** Prometheus' own tool for its files; the package has it beside the server. */
export const PROMTOOL = join(dirname(EXECUTABLE), "promtool");

/** One series of the result of a query. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [at: number, value: string];
}

/** A running Prometheus. */
export interface Prometheus {
  /** Runs an instant query; throws with the reason if it does not parse. */
  query(expr: string): Promise<readonly Series[]>;
  /** Reads a path of the HTTP API, such as `rules`. */
  api(path: string): Promise<Record<string, unknown>>;
}

/** Starts a real Prometheus with a configuration file; ends it when the test ends. */
export async function startPrometheus(file: string): Promise<Prometheus> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`no Prometheus at ${EXECUTABLE}: install the package prometheus, or set PROMETHEUS_PATH`);
  }
  const port = await refusedPort();
  const child = spawn(
    EXECUTABLE,
    [
      `--config.file=${file}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--storage.tsdb.path=${directoryOf({})}`,
      "--log.level=error",
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  afterTest(() => stopProcess(child));
  const url = `http://127.0.0.1:${port}`;
  await eventually(
    async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.status === 200,
    "Prometheus to be ready",
    { timeoutMs: 25_000, everyMs: 50 },
  );
  const api = async (path: string) => {
    const answer = (await (await fetch(`${url}/api/v1/${path}`)).json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data: Record<string, unknown>;
    };
    if (answer.status !== "success") throw new Error(`${decodeURIComponent(path)}: ${answer.error}`);
    return answer.data;
  };
  return {
    api,
    query: async (expr) => {
      const { result } = await api(`query?query=${encodeURIComponent(expr)}`);
      return result as readonly Series[];
    },
  };
}
