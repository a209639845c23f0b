import { expect, test } from "vitest";
import { configFromFlags, logFromFlags } from "../../../src/config/from-flags.ts";
import { formatProblem } from "../../../src/config/problem.ts";

const problemsOf = (to: string, listen?: string, cors: readonly string[] = []): string[] => {
  const loaded = configFromFlags({ to, listen, cors });
  return "problems" in loaded ? loaded.problems.map(formatProblem) : [];
};

test("one route for every path, with the defaults of a route file", () => {
  expect(configFromFlags({ to: "http://127.0.0.1:8080", listen: undefined, cors: [] })).toMatchObject({
    config: {
      server: { listen: [{ address: { host: undefined, port: 8000 } }], log: { level: "info" } },
      routes: [
        {
          name: "default",
          match: { path: "/*" },
          websocket: true,
          cors: false,
          stream: { heartbeat: { every: 15_000, event: undefined }, comments: "auto" },
        },
      ],
    },
  });
});

test("--listen and --cors are validated by the schemas of the files", () => {
  const loaded = configFromFlags({ to: "unix:/run/a", listen: "[::1]:0", cors: ["https://a.example", "*"] });
  expect(loaded).toMatchObject({
    config: {
      server: { listen: [{ address: { host: "::1", port: 0 } }] },
      routes: [{ cors: { allowOrigins: ["https://a.example", "*"], allowCredentials: false } }],
    },
  });
});

test("problems name the flag", () => {
  expect(problemsOf("nowhere", "a:b", ["https://a.example", "a.example"])).toEqual([
    "--to: expected a URL such as http://127.0.0.1:8080, https://host or unix:/run/app.sock",
    '--cors "a.example": expected *, null, an origin such as https://app.example.com, or https://*.example.com',
    "--listen: expected a port, host:port such as 127.0.0.1:8000, or unix:/path",
  ]);
  expect(problemsOf("http://a/path")).toEqual([
    "--to: expected no path or query; a path prefix belongs in rewrite.addPrefix",
  ]);
});

test("the flags for the log set only the given keys", () => {
  expect(logFromFlags({ level: undefined, format: undefined })).toEqual({});
  expect(logFromFlags({ level: "warn", format: undefined })).toEqual({ level: "warn" });
  expect(logFromFlags({ level: "loud", format: "jso" })).toMatchObject({
    problems: [
      { key: "--log-level", message: "expected debug, info, warn, error or silent" },
      { key: "--log-format", message: "expected json or pretty; did you mean json?" },
    ],
  });
});
