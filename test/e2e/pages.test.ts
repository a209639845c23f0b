import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { refusedPort } from "../support/backend.ts";
import { attempt } from "../support/command.ts";
import { firstLines, PageReader, startClock, stepsOf } from "../support/page-reader.ts";
import { allBlocks, type Block, blocksOf, pageText } from "../support/pages.ts";
import { startRedis } from "../support/redis.ts";
import { ROOT, startSluice } from "../support/sluice-process.ts";

/** How a block of commands is tested. */
type Way =
  /** A reader of its section runs it: `PageReader`. */
  | "as a reader"
  /** The same, with a gateway that already serves this backend. */
  | { readonly before: string }
  /** A test of this file, with this title. */
  | { readonly below: string }
  /** Another file tests or contains it. */
  | { readonly elsewhere: string };

/** Each block of commands, by page and first command. A block without an entry fails the test. */
const WAYS: Readonly<Record<string, Readonly<Record<string, Way>>>> = {
  "README.md": {
    "npm ci": { below: "the README's first commands" },
    "curl -N http://127.0.0.1:8000/hello": { below: "the README's first commands" },
    "sluice probe http://127.0.0.1:8080/events --hop backend=http://127.0.0.1:3000/events": {
      elsewhere: "test/e2e/nginx-page.test.ts",
    },
  },
  "CONTRIBUTING.md": {
    "npm ci": { below: "the README's first commands" },
    "npm run build": { elsewhere: "package.json" },
    "npm run soak -- reload drain": { elsewhere: "test/soak/run.mjs" },
  },
  "docs/getting-started.md": {
    "npm ci": { below: "the README's first commands" },
    "sluice serve": "as a reader",
    "curl -N http://127.0.0.1:8000/hello": "as a reader",
    "sluice check": "as a reader",
    "curl -N http://127.0.0.1:8000/stream": "as a reader",
    "sluice serve --to http://127.0.0.1:8080 --cors https://app.example.com": "as a reader",
  },
  "docs/auth.md": {
    'sluice sign http://127.0.0.1:8000/prices --key shop --secret "$SHOP_SECRET" --curl': "as a reader",
  },
  "docs/benchmarks.md": { "npm run bench": { elsewhere: "test/bench/run.mjs" } },
  "docs/commands.md": {
    "sluice serve --config config": "as a reader",
    "sluice serve --to http://127.0.0.1:8080 --listen 127.0.0.1:8000 --cors https://app.example.com":
      "as a reader",
    "sluice serve --to http://127.0.0.1:8080 --trust 127.0.0.1 --admin 9900": "as a reader",
    "sluice init --to http://127.0.0.1:8080 --cors https://app.example.com --behind 127.0.0.1": {
      elsewhere: "test/integration/the-command-line-for-newcomers.test.ts",
    },
    "sluice health --config config": {
      elsewhere: "test/integration/the-command-line-for-newcomers.test.ts",
    },
    "source <(sluice completion bash)": {
      elsewhere: "test/integration/the-command-line-for-newcomers.test.ts",
    },
    "sluice check --config config": { below: "check of the samples" },
    "sluice probe http://127.0.0.1:8000/events --hop backend=http://127.0.0.1:3000/events": {
      before: "http://127.0.0.1:3000",
    },
    'sluice sign http://127.0.0.1:8000/prices --key shop --secret "$SHOP_SECRET" --curl': "as a reader",
    "sluice nginx generate --config config --listen 80 --nginx 1.22": "as a reader",
    "sluice schema route": "as a reader",
  },
  "docs/cors.md": {
    "curl -i -X OPTIONS http://127.0.0.1:8000/stream -H 'Origin: https://app.example.com' -H 'Access-Control-Request-Method: GET'":
      "as a reader",
  },
  "docs/kubernetes.md": {
    'kubectl create secret generic sluice --from-literal=adminToken="$(openssl rand -hex 32)"': {
      elsewhere: "test/integration/deployment-samples.test.ts",
    },
    "kubectl apply -f docker/kubernetes/monitoring.yaml": {
      elsewhere: "test/integration/deployment-samples.test.ts",
    },
    "{ cat docker/kubernetes/prometheus-rule.yaml; sed 's/^/  /' docker/observe/alerts.yaml; } | kubectl apply -f -":
      { elsewhere: "test/integration/deployment-samples.test.ts" },
  },
  "docs/metrics.md": {
    "openssl rand -hex 32 > ./docker/observe/token": { elsewhere: "test/e2e/docker.test.ts" },
    "promtool check rules docker/observe/alerts.yaml": { elsewhere: "test/e2e/prometheus.test.ts" },
  },
  "docs/migrating.md": { "sluice nginx import site.conf --dry-run": "as a reader" },
  "docs/redis.md": {
    "redis-server --appendonly yes --maxmemory-policy noeviction": { below: "Redis as the page starts it" },
  },
  "docs/routes.md": { "curl http://127.0.0.1:8000/mocked/orders": "as a reader" },
  "docs/shared-streams.md": {
    "curl 'http://127.0.0.1:8000/stream?transport=long-polling&timeout=25s'": "as a reader",
  },
  "docs/troubleshooting.md": {
    "sluice probe https://www.example.com/events --hop sluice=http://127.0.0.1:8000/events --hop backend=http://127.0.0.1:3000/events":
      { before: "http://127.0.0.1:3000" },
  },
};

/** Pages whose commands have a separate test. */
const OWN_TEST: Readonly<Record<string, string>> = { "docs/nginx.md": "test/e2e/nginx-page.test.ts" };

const isCommands = ({ language }: Block) => language === "sh" || language === "console";
const firstCommand = (block: Block) => stepsOf(block)[0]?.command ?? "";
const wayOf = (block: Block): Way | undefined => WAYS[block.page]?.[firstCommand(block)];
const blocks = allBlocks().filter((block) => isCommands(block) && OWN_TEST[block.page] === undefined);

test("every block of commands is run by a test", () => {
  const unknown = blocks.filter((block) => wayOf(block) === undefined);
  expect(unknown.map((block) => `${block.page}: ${firstCommand(block)}`)).toEqual([]);
});

test("every entry of the table belongs to a block", () => {
  const rows = Object.entries(WAYS).flatMap(([page, ways]) =>
    Object.keys(ways).map((command) => `${page}: ${command}`),
  );
  const known = new Set(blocks.map((block) => `${block.page}: ${firstCommand(block)}`));
  expect(rows.filter((row) => !known.has(row))).toEqual([]);
});

test("every file that the table names exists", () => {
  const files = Object.values(WAYS)
    .flatMap((ways) => Object.values(ways))
    .map((way) => (typeof way === "object" && "elsewhere" in way ? way.elsewhere : "package.json"));
  expect([...files, ...Object.values(OWN_TEST)].filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

const isForReader = (block: Block): boolean => {
  const way = wayOf(block);
  return way === "as a reader" || (typeof way === "object" && "before" in way);
};
const sections = [
  ...new Map(
    blocks.filter(isForReader).map(({ page, section }) => [`${page} ${section}`, { page, section }]),
  ).values(),
];

describe.each(sections)("$page, $section", ({ page, section }) => {
  test("its commands, run in order, print what the page shows", async () => {
    const reader = new PageReader();
    await reader.start();
    for (const block of blocksOf(page).filter((one) => one.section === section)) {
      if (!isCommands(block)) reader.save(block);
      else if (isForReader(block)) {
        const way = wayOf(block);
        if (typeof way === "object" && "before" in way) await reader.serve(way.before);
        for (const { command, seen, shown } of await reader.run(block))
          expect({ command, lines: seen }).toEqual({ command, lines: shown });
      }
    }
  });
});

describe("the README's first commands", () => {
  test("npm ci accepts the lockfile", async () => {
    const { code, output } = await attempt("npm", ["ci", "--dry-run", "--offline", "--ignore-scripts"], {
      cwd: ROOT,
    });
    expect({ code, output }).toMatchObject({ code: 0 });
  });

  test("the first curl reads a stream from npm start, without a backend", async () => {
    const [block] = blocksOf("README.md").filter(({ language }) => language === "console");
    const [step] = block === undefined ? [] : stepsOf(block);
    expect(step?.command).toBe("curl -N http://127.0.0.1:8000/hello");
    // As `npm start` runs it, with free ports in place of its own.
    const port = await refusedPort();
    const env = { SLUICE_LISTEN: `127.0.0.1:${port}`, SLUICE_ADMIN: "false" };
    await startSluice(["serve"], { cwd: ROOT, env }).logged("ready");
    const shown = step?.shown ?? [];
    const command = `curl -N http://127.0.0.1:${port}/hello`;
    expect((await firstLines(command, shown.length)).split("\n")).toEqual(shown);
    expect(shown).toContain("data: hello");
  });
});

test("the tests and long runs that CONTRIBUTING.md names exist", () => {
  const files = [...pageText("CONTRIBUTING.md").matchAll(/vitest run --config (\S+) (\S+)/g)].flatMap(
    ([, ...paths]) => paths,
  );
  const soaks = [...pageText("CONTRIBUTING.md").matchAll(/^\| `([a-z\d-]+)` \|/gm)].map(
    ([, name]) => `test/soak/${name}.mjs`,
  );
  expect(files).toHaveLength(2);
  expect(soaks.length).toBeGreaterThan(10);
  expect([...files, ...soaks].filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

test("the log line in docs/operating.md has the fields of a real one", async () => {
  const [block] = blocksOf("docs/operating.md").filter(({ language }) => language === "json");
  const backend = `http://127.0.0.1:${await startClock({ gapMs: 50 })}`;
  const gateway = startSluice(["serve", "--to", backend, "--listen", "127.0.0.1:0"]);
  await firstLines(`curl -N http://127.0.0.1:${await gateway.port()}/stream`, 4);
  const line = await gateway.logged("request");
  expect(Object.keys(line)).toEqual(Object.keys(JSON.parse(block?.text ?? "{}")));
});

test("check of the samples", async () => {
  const { code, stdout } = await startSluice(["check", "--config", "config"], { cwd: ROOT }).ended;
  expect(code).toBe(0);
  expect(stdout).toContain("hello   any   /hello");
});

test("Redis as the page starts it", async () => {
  const [block] = blocksOf("docs/redis.md").filter(({ language }) => language === "sh");
  const [, ...flags] = (block === undefined ? "" : firstCommand(block)).split(" ");
  expect(flags).toContain("--appendonly");
  const redis = await startRedis({ options: flags });
  expect(await redis.client.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
});
