import { type AddressInfo, createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { refusedPort } from "../support/backend.ts";
import { certificate } from "../support/certificate.ts";
import { attempt } from "../support/command.ts";
import { type EventBackend, startEventBackend } from "../support/event-backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { found, probeUrl } from "../support/probe.ts";
import { START_MS, startSluice } from "../support/sluice-process.ts";

let backend: EventBackend;
let refused: number;
/** A server that completes TLS and then sends nothing. */
let tlsPort: number;
/** A server that accepts connections and sends nothing. */
let silentPort: number;
/** A server that answers any bytes with plain HTTP, as servers do. */
let plainPort: number;
const closing: (() => void)[] = [];

beforeAll(async () => {
  backend = await startEventBackend();
  refused = await refusedPort();
  const sockets = new Set<Socket>();
  const take = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  };
  const listening = async (server: ReturnType<typeof createServer>): Promise<number> => {
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    closing.push(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  tlsPort = await listening(createTlsServer({ cert: certificate.cert, key: certificate.key }, take));
  silentPort = await listening(createServer(take));
  const refuse = (socket: Socket) => {
    take(socket);
    socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
  };
  plainPort = await listening(createServer(refuse));
  closing.push(
    () => backend.stop(),
    () => {
      for (const socket of sockets) socket.destroy();
    },
  );
});
afterAll(() => {
  for (const close of closing.reverse()) close();
});

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;
/** Not `startSluice`, which cannot tell which of the concurrent tests owns a process. */
const sluice = (args: readonly string[]) => attempt(process.execPath, [MAIN, "probe", ...args]);

describe("bad input ends the command with exit code 2, a sentence and a remedy", () => {
  const cases: [what: string, args: () => readonly string[], sentence: string, remedy: string][] = [
    [
      "a port that nothing listens on",
      () => [`http://127.0.0.1:${refused}/`],
      "Not reachable: nothing listens on 127.0.0.1:",
      "start the server, or correct the port",
    ],
    ["a host that does not exist", () => ["http://nowhere.invalid/s"], "Not reachable: ", "check the "],
    [
      "a certificate of no known authority",
      () => [`https://127.0.0.1:${tlsPort}/`],
      "Not reachable: the certificate of 127.0.0.1 is not signed by an authority that this machine trusts.",
      "--insecure",
    ],
    ["a certificate for another name", () => [`https://127.0.0.2:${tlsPort}/`], "Not reachable: ", "fix: "],
    [
      "https to a port with plain HTTP",
      () => [`https://127.0.0.1:${plainPort}/`],
      "Not reachable: 127.0.0.1:",
      "does not use TLS",
    ],
    [
      "http to a port with TLS",
      () => [`http://127.0.0.1:${tlsPort}/`],
      "Not reachable: ",
      "a port with TLS needs an https URL",
    ],
    [
      "a server without HTTP",
      () => [backend.url("raw=SSH-2.0-OpenSSH")],
      "sends invalid HTTP: invalid status line",
      "fix: ",
    ],
    [
      "a connection that is closed without a response",
      () => [backend.url("raw=")],
      "closed the connection without a response",
      "check the server's log",
    ],
    [
      "a status",
      () => [backend.url("status=401&n=1")],
      "Not a stream: url answers 401.",
      "--header 'Authorization",
    ],
    ["a page", () => [backend.url("type=text/html&n=1")], "with a page (text/html)", "spa-answers"],
    [
      "JSON",
      () => [backend.url("type=application/json&n=1")],
      "with application/json, so it is not an event stream",
      "fix: ",
    ],
    [
      "no response within the time",
      () => [`http://127.0.0.1:${silentPort}/`, "--for", "300ms"],
      "No response from url within 300 ms: the sender is silent, or a hop holds its head back.",
      "--for 60s",
    ],
    [
      "no TLS within the time",
      () => [`https://127.0.0.1:${silentPort}/`],
      "does not complete TLS within 10 s",
      "fix: ",
    ],
    [
      "no event within the time",
      () => [backend.url("first=60000"), "--for", "300ms"],
      "Nothing to measure: the head came after ",
      "probe: true in sluice.yaml",
    ],
    [
      "an unknown content coding",
      () => [backend.url("field=Content-Encoding: rot13&n=1")],
      "the content coding rot13 is not known",
      "Accept-Encoding: identity",
    ],
    [
      "a body without its declared content coding",
      () => [backend.url("field=Content-Encoding: gzip&n=1")],
      "the gzip coding of the body is broken",
      "fix: ",
    ],
  ];

  test.concurrent.each(cases)("%s", async (_, args, sentence, remedy) => {
    const { code, stdout, output } = await sluice(args());
    // Standard error is empty.
    expect({ code, output }).toEqual({ code: 2, output: stdout });
    expect(stdout).toContain(sentence);
    expect(stdout).toContain(remedy);
  });
});

describe("a redirect", () => {
  const to = (url: string) => `status=302&n=1&field=${encodeURIComponent(`Location: ${url}`)}`;

  test("is followed on the same host, with the caller's fields", async () => {
    const target = backend.url("n=2&gap=10");
    const report = await probeUrl(
      backend.url(to(target)),
      {},
      { ask: { fields: [["Authorization", "secret"]] } },
    );
    expect(found(report)).toMatchObject({ outcome: "prompt", connections: 2 });
    expect(report.readings[0]?.url).toBe(target);
  });

  test("to another host is followed only without fields and body of the caller", async () => {
    const other = await startEventBackend();
    try {
      const url = backend.url(to(other.url("n=2&gap=10")));
      expect(found(await probeUrl(url))).toMatchObject({ outcome: "prompt" });
      for (const ask of [
        { fields: [["Cookie", "secret"]] as const },
        { method: "POST", body: Buffer.from("secret") },
      ]) {
        const report = await probeUrl(url, {}, { ask });
        expect(found(report)).toMatchObject({ outcome: "no-stream", exit: 2, connections: 1 });
        expect(report.verdict.sentence).toContain(`answers 302 and redirects to ${other.url("n=2&gap=10")}`);
      }
    } finally {
      other.stop();
    }
  });

  test("is not followed without end", async () => {
    const report = await probeUrl(backend.url("status=302&n=1&field=Location: %23again"));
    expect(found(report)).toMatchObject({ exit: 2 });
    expect(report.connections).toBe(2);
  });
});

describe("the output", () => {
  test("for programs is JSON, with all times since the request", async () => {
    const args = [
      backend.url("n=3&gap=200"),
      "--hop",
      `backend=${backend.url("n=3&gap=200")}`,
      "--format",
      "json",
    ];
    const { code, stdout } = await sluice(args);
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as { hops: { events: { lastMs: number }[] }[] };
    expect(report).toMatchObject({
      version: 1,
      exit: 0,
      verdict: { outcome: "prompt", isSure: true },
      hops: [
        { name: "backend", status: 200, protocol: "HTTP/1.1", framing: "chunked", format: "sse" },
        { name: "url", end: { kind: "complete" }, fields: { "content-type": ["text/event-stream"] } },
      ],
    });
    const [first, , third] = report.hops[1]?.events ?? [];
    expect((third?.lastMs ?? 0) - (first?.lastMs ?? 0)).toBeGreaterThan(380);
  });

  test(
    "on an interrupt is the verdict on what has come",
    async () => {
      const before = backend.requests();
      const run = startSluice(["probe", backend.url("n=1000&gap=50"), "--for", "1h"]);
      // The probe handles signals shortly before it connects; until then they end the process.
      await eventually(() => backend.requests() > before, "the request", { timeoutMs: START_MS });
      run.kill("SIGINT");
      const { code, stdout } = await run.ended;
      // The number of events so far depends on timing.
      expect(code).not.toBeNull();
      expect(stdout).toMatch(/^HOP .*\nurl .* open\n\n\w/);
    },
    START_MS,
  );
});

test("the first comment of sluice proves, without times in the events, that no hop holds the stream back", async () => {
  const gateway = await startGatewayTo(`http://127.0.0.1:${backend.port}`);
  const path = "/s?untimed&n=4&first=600&gap=100";
  expect(found(await probeUrl(gateway.url + path))).toMatchObject({ outcome: "prompt", isSure: true });
  expect(found(await probeUrl(`http://127.0.0.1:${backend.port}${path}`))).toMatchObject({
    outcome: "prompt",
    isSure: false,
  });
});

test("an inner hop that cannot be compared gets a note, and the others are compared", async () => {
  const report = await probeUrl(backend.url("n=4&gap=100"), {
    gone: `http://127.0.0.1:${refused}/`,
    backend: backend.url("n=4&gap=100"),
  });
  expect(found(report)).toMatchObject({ outcome: "prompt", isSure: true });
  expect(report.notes).toMatchObject([{ hop: "gone", text: expect.stringContaining("cannot be compared") }]);
});

test("the command starts in less than 0.3 s of CPU", async () => {
  const { spawnSync } = await import("node:child_process");
  const count =
    "process.on('exit',()=>{const{userCPUTime:u,systemCPUTime:s}=process.resourceUsage();process.stderr.write(String(u+s))})";
  const run = () => {
    const preload = `--import=data:text/javascript,${encodeURIComponent(count)}`;
    const { stderr } = spawnSync(process.execPath, [preload, MAIN, "probe", `http://127.0.0.1:${refused}/`]);
    return Number(stderr.toString()) / 1_000;
  };
  // The least of a few runs: the first may have to read the files from disk.
  expect(Math.min(run(), run(), run())).toBeLessThan(300);
});
