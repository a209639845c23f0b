import { expect, test } from "vitest";
import { WEB_CLIENT } from "../support/app-signer.ts";
import { startBackend } from "../support/backend.ts";
import { run } from "../support/command.ts";
import { runSluice } from "../support/command-line.ts";
import { startGateway } from "../support/gateway.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;
const sluice = (...args: string[]) => run(process.execPath, [MAIN, "sign", ...args]);
const KEY = ["--key", WEB_CLIENT.key, "--secret", WEB_CLIENT.secret];

async function startSigned() {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.respond(200, {}, "served"));
  });
  const auth = { app: ["web-client"] };
  return startGateway({
    apps: { "web-client": WEB_CLIENT },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth } },
  });
}

test.each([
  ["a GET", "/stream?room=a%20b&tag=2&tag=1&e", []],
  ["an additional header", "/é/x", ["--header", "X-Name: it's é"]],
  ["a body", "/items", ["--data", '{"a":"é\'"}', "--header", "Content-Type: application/json"]],
  ["a method", "/items/7", ["--method", "DELETE"]],
])("the curl command for %s works unchanged", async (_, target, flags) => {
  const { url } = await startSigned();
  const line = await sluice(`${url}${target}`, ...KEY, ...flags, "--curl");
  expect(line).toMatch(/^curl -N /);
  expect(await run("sh", ["-c", line])).toBe("served");
  // Control: the same command with another target fails.
  expect(await run("sh", ["-c", line.replace(/'\n$/, "2'\n")])).toContain("APIG.0303");
});

test("the printed headers are a valid signature", async () => {
  const { url } = await startSigned();
  const lines = (await sluice(`${url}/stream`, ...KEY)).trim().split("\n");
  const headers = lines.map((line) => line.split(": ") as [string, string]);
  expect(headers.map(([name]) => name)).toEqual(["X-Sdk-Date", "Authorization"]);
  expect((await fetch(`${url}/stream`, { headers })).status).toBe(200);
});

test.each([
  [["http://127.0.0.1/"], "sign needs a URL, --key and --secret"],
  [["ftp://127.0.0.1/", ...KEY], "expected a URL"],
  [["http://127.0.0.1/", ...KEY, "--header", "x"], "expected a header"],
  [["http://127.0.0.1/", ...KEY, "--header", "Host: x"], "set by the signature"],
  [["http://127.0.0.1/", ...KEY, "--data", "@/no/such"], "does not exist"],
  [["http://127.0.0.1/", ...KEY, "--metod", "GET"], "did you mean --method?"],
])("%j is refused", async (args, message) => {
  const { code, stderr } = await runSluice(["sign", ...args]);
  expect(stderr).toContain(message);
  expect(code).toBe(2);
});
