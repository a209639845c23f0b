import { spawnSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CLEAN, lint, SITE } from "../support/lint-command.ts";
import { directoryOf, ROOT } from "../support/sluice-process.ts";

describe("formats for programs", () => {
  test("json has the findings with their edits, and the effective values with their origin", async () => {
    const cwd = directoryOf({ "site.conf": SITE });
    const { stdout } = await lint(["site.conf", "--format", "json"], { cwd });
    const report = JSON.parse(stdout) as Record<string, unknown>;
    expect(report).toMatchObject({
      nginx: "1.22",
      files: ["site.conf"],
      locations: [
        {
          file: "site.conf",
          line: 4,
          pattern: "/events",
          carries: "declared",
          why: "the path says events",
          target: "http://127.0.0.1:9000",
          effective: { proxy_buffering: { value: "on", level: "default" } },
        },
      ],
    });
    const findings = report["findings"] as {
      rule: string;
      fix: { edits: { from: number; text: string }[] };
    }[];
    const buffered = findings.find(({ rule }) => rule === "response-buffered");
    expect(buffered).toMatchObject({ line: 4, column: 5, severity: "error", locations: ["/events"] });
    const [edit] = buffered?.fix.edits ?? [];
    expect(edit?.from).toBe(Buffer.byteLength(SITE.slice(0, SITE.indexOf("9000;") + 5)));
    expect(edit?.text).toBe("\n        proxy_buffering off;");
  });

  test("sarif is version 2.1.0, with every rule and the region of each finding", async () => {
    const cwd = directoryOf({ "site.conf": SITE });
    const { stdout } = await lint(["site.conf", "--format", "sarif"], { cwd });
    const { version, runs } = JSON.parse(stdout) as {
      version: string;
      runs: { tool: { driver: { rules: { id: string }[] } }; results: Record<string, unknown>[] }[];
    };
    expect(version).toBe("2.1.0");
    const [run] = runs;
    expect(run?.tool.driver.rules).toHaveLength(87);
    const index = run?.tool.driver.rules.findIndex(({ id }) => id === "response-buffered");
    expect(run?.results).toContainEqual(
      expect.objectContaining({
        ruleId: "response-buffered",
        ruleIndex: index,
        level: "error",
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: "site.conf" },
              region: { startLine: 4, startColumn: 5, endLine: 4, endColumn: 23 },
            },
          },
        ],
      }),
    );
  });

  test("github has one escaped command per finding", async () => {
    const cwd = directoryOf({ "a,b.conf": SITE });
    const { stdout } = await lint(["a,b.conf", "--format", "github", "--only", "response-buffered"], { cwd });
    expect(stdout).toMatch(
      /^::error file=a%2Cb\.conf,line=4,endLine=4,col=5,title=response-buffered::.*%0A.*\n$/,
    );
    expect(stdout.split("\n")).toHaveLength(2);
  });
});

describe("lint needs", () => {
  test("only Node: it loads no package", async () => {
    const bare = directoryOf({ "site.conf": CLEAN });
    cpSync(join(ROOT, "dist"), join(bare, "dist"), { recursive: true });
    cpSync(join(ROOT, "package.json"), join(bare, "package.json"));
    const args = [
      join(bare, "dist/cli/main.js"),
      "nginx",
      "lint",
      join(bare, "site.conf"),
      "--nginx",
      "1.22",
    ];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
  });

  test("0.3 s of CPU, even for a file of 5,000 lines", () => {
    const servers = Array.from({ length: 400 }, (_, at) => CLEAN.replace("listen 80", `listen ${8000 + at}`));
    const cwd = directoryOf({ "site.conf": servers.join("\n") });
    const cpu = (file: string) => {
      const script = `process.on("exit", () => { const { user, system } = process.cpuUsage(); console.error((user + system) / 1000); }); process.argv = ["", "", "nginx", "lint", ${JSON.stringify(file)}, "--nginx", "1.22"]; await import(${JSON.stringify(join(ROOT, "dist/cli/main.js"))});`;
      const { stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
        cwd,
        encoding: "utf8",
      });
      return Number(stderr.trim().split("\n").at(-1));
    };
    const best = (file: string) => Math.min(...Array.from({ length: 5 }, () => cpu(file)));
    const start = best("/nonexistent");
    const whole = best("site.conf");
    expect({ start, whole, isFast: start < 300 && whole - start < 300 }).toMatchObject({ isFast: true });
  });
});
