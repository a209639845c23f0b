import { mkdirSync } from "node:fs";
import { request as send } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, replaceFile, startPart, startSluice, temporaryDirectory } from "./parts/processes.mjs";

/**
 * 10,000 named answers run in one process at the same time, all without a client, as after a lost network: the memory
 * is as the documentation says, while they run and after their end, and each answer can be had whole.
 *
 *   npm run build && node test/soak/many-answers.mjs --scale 1
 */
const ANSWERS = 10_000;
const TOKENS = 100;
const TOKEN_BYTES = 190;
const AT_ONCE = 200;
const PATIENCE_MS = 300_000;
/** docs/llm.md: MB of `sluice_answer_bytes` for all of them, and the process's memory beyond it. */
const COUNTED_MB = 430;
const MOST_RUNNING_MB = 700;

const scale = readScale();
const count = Math.round(ANSWERS * scale);
const cwd = temporaryDirectory();
mkdirSync(join(cwd, "config/routes"), { recursive: true });
const [port, admin] = [await freePort(), await freePort()];
const backend = startPart("answer-backend", { tokens: TOKENS, bytes: TOKEN_BYTES });
const server = { listen: `127.0.0.1:${port}`, admin, limits: { historyBytes: "1g" } };
replaceFile(join(cwd, "config/sluice.yaml"), JSON.stringify(server));
const resume = { by: ["header:X-User"], grace: "1h", keep: "1h", answers: count, answersPerClient: count };
const route = { match: { path: "/*" }, upstream: `http://127.0.0.1:${await backend.ready}`, resume };
replaceFile(join(cwd, "config/routes/answers.yaml"), JSON.stringify(route));
const sluice = await startSluice(cwd);
const emptyBytes = sluice.residentBytes();

/** Sends a named request; `onResponse` takes its response. */
function ask(method, key, onResponse) {
  const headers = { "X-User": "ann", "Idempotency-Key": key };
  return new Promise((resolve, reject) => {
    const request = send({ host: "127.0.0.1", port, path: "/", method, headers, agent: false });
    request.once("error", reject);
    request.once("response", (response) => onResponse(response, resolve));
    request.end();
  });
}

/** Asks for an answer, and leaves when the response head has come; resolves with its Location. */
const leave = (key) =>
  ask("POST", key, (response, resolve) => {
    response.destroy();
    response.on("error", () => {});
    resolve(response.headers.location);
  });

/** Attaches to an answer; resolves with its number of tokens, or -1 if they are not in order or not whole. */
const read = (key) =>
  ask("GET", key, (response, resolve) => {
    let text = "";
    response.setEncoding("latin1").on("data", (part) => {
      text += part;
    });
    response.on("error", () => resolve(-1));
    response.on("end", () => {
      const tokens = [...text.matchAll(/^data: (\d+)/gm)].map(([, token]) => Number(token));
      resolve(tokens.every((token, at) => token === at + 1) ? tokens.length : -1);
    });
  });

/** Calls `each` for every key, some at a time. */
async function forAll(each) {
  const results = [];
  for (let from = 0; from < count; from += AT_ONCE) {
    const keys = Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, at) => `answer-${from + at}`);
    results.push(...(await Promise.all(keys.map(each))));
  }
  return results;
}

async function metrics() {
  const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  const of = (name) =>
    Number(
      text
        .split("\n")
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length),
    );
  return {
    running: of('sluice_answers{route="answers",state="running"}'),
    whole: of('sluice_answers{route="answers",state="whole"}'),
    bytes: of("sluice_answer_bytes"),
  };
}

async function until(isDone) {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const now = await metrics();
    if (isDone(now)) return now;
    if (performance.now() > deadline) throw new Error(`not reached: ${JSON.stringify(now)}`);
    await sleep(500);
  }
}

const mb = (bytes) => Math.round(bytes / 1e6);
const grownMb = () => mb(sluice.residentBytes() - emptyBytes);

const locations = await forAll(leave);
// Each token with its own entry: the answers have all of it when their memory stands still.
let before = 0;
const running = await until(({ running, bytes }) => {
  const isStill = bytes === before && running === count && bytes > count * TOKENS * TOKEN_BYTES;
  before = bytes;
  return isStill;
});
const runningMb = grownMb();
const { asked } = await backend.ask("counts");
await backend.ask("end");
const whole = await until((now) => now.whole === count);
const wholeMb = grownMb();
const tokens = await forAll(read);
const verdict = {
  answers: locations.filter((location) => location !== undefined).length,
  asked,
  running: running.running,
  countedMb: mb(running.bytes),
  runningMb,
  countedWholeMb: mb(whole.bytes),
  wholeMb,
  incomplete: tokens.filter((length) => length !== TOKENS).length,
};
const isInMemory = scale < 1 || (verdict.countedMb <= COUNTED_MB && runningMb <= MOST_RUNNING_MB);
sluice.child.kill("SIGKILL");
backend.stop();
conclude({
  isGood: verdict.answers === count && asked === count && verdict.incomplete === 0 && isInMemory,
  ...verdict,
});
