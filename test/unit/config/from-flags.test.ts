import { expect, test } from "vitest";
import { configFromFlags, type Flags, logFromFlags } from "../../../src/config/from-flags.ts";
import { formatProblem } from "../../../src/config/problem.ts";

const NOT_GIVEN = { listen: undefined, cors: [], trust: [], admin: undefined };

const problemsOf = (flags: Partial<Flags>): string[] => {
  const loaded = configFromFlags({ ...NOT_GIVEN, to: "http://127.0.0.1:8080", ...flags });
  return "problems" in loaded ? loaded.problems.map(formatProblem) : [];
};

test("one route for every path, with the defaults of a route file", () => {
  expect(configFromFlags({ ...NOT_GIVEN, to: "http://127.0.0.1:8080" })).toMatchObject({
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
  const loaded = configFromFlags({
    ...NOT_GIVEN,
    to: "unix:/run/a",
    listen: "[::1]:0",
    cors: ["https://a.example", "*"],
  });
  expect(loaded).toMatchObject({
    config: {
      server: { listen: [{ address: { host: "::1", port: 0 } }] },
      routes: [{ cors: { allowOrigins: ["https://a.example", "*"], allowCredentials: false } }],
    },
  });
});

test("problems name the flag", () => {
  expect(problemsOf({ to: "nowhere", listen: "a:b", cors: ["https://a.example", "a.example"] })).toEqual([
    "--to: expected a URL such as http://127.0.0.1:8080, https://host or unix:/run/app.sock; did you mean http://nowhere?",
    '--cors "a.example": expected *, null, an origin such as https://app.example.com, or https://*.example.com; did you mean https://a.example?',
    "--listen: expected a port, host:port such as 127.0.0.1:8000, or unix:/path",
  ]);
  expect(problemsOf({ to: "http://a/path" })).toEqual([
    "--to: expected no path or query; a path prefix belongs in rewrite.addPrefix",
  ]);
});

test("--trust and --admin are validated by the schemas of the files", () => {
  const given = { trust: ["10.0.0.0/8", "::1"], admin: "9901", to: "http://127.0.0.1:8080" };
  expect(configFromFlags({ ...NOT_GIVEN, ...given })).toMatchObject({
    config: { server: { trustedProxies: given.trust, admin: { host: "127.0.0.1", port: 9901 } } },
  });
  expect(problemsOf({ trust: ["::1", "nginx"] })).toEqual([
    '--trust "nginx": expected an address or a CIDR range such as 10.0.0.0/8',
  ]);
  expect(problemsOf({ admin: "0.0.0.0:9900" })).toEqual([
    "--admin: other machines can reach this address: set adminToken in sluice.yaml, or use 127.0.0.1",
  ]);
});

test("the flags for the log set only the given keys", () => {
  expect(logFromFlags({ level: undefined, format: undefined })).toEqual({});
  expect(logFromFlags({ level: "warn", format: undefined })).toEqual({ level: "warn" });
  expect(logFromFlags({ level: "loud", format: "jso" })).toMatchObject({
    problems: [
      { key: "--log-level", message: "expected debug, info, warn, error or silent" },
      { key: "--log-format", message: "expected auto, json or pretty; did you mean json?" },
    ],
  });
});
