import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { stringify } from "yaml";
import { afterTest } from "./after-test.ts";
import { type BackendRequest, refusedPort, startBackend } from "./backend.ts";
import { certificateFiles } from "./certificate-files.ts";
import { eventually } from "./eventually.ts";
import { CHAT_CHUNKS, CHAT_WITHOUT_USAGE } from "./model-answers.ts";
import { startRedis } from "./redis.ts";
import { ask, lastIdOf } from "./resume.ts";
import { directoryOf, startSluice } from "./sluice-process.ts";
import { EVENT_SOURCE, openStream } from "./sse-client.ts";

/** Starts `sluice serve` with all that has metrics: two workers, TLS, Redis, limits, answers of models, a dead backend. */
export async function startBusyGateway() {
  const token = randomBytes(16).toString("hex");
  const [redis, tls, backend] = [await startRedis(), await certificateFiles(), await startBackend(serve)];
  const dead = `http://127.0.0.1:${await refusedPort()}`;
  const upstream = backend.url;
  const routes = {
    chat: { match: { path: "/chat/*" }, upstream },
    dead: { match: { path: "/dead" }, upstream: dead },
    limited: {
      match: { path: "/limited" },
      mock: { status: 200, body: "x" },
      limits: { rate: { requests: 1, per: "1h", by: "route" } },
    },
    model: { match: { path: "/model" }, upstream, llm: {} },
    named: { match: { path: "/named" }, upstream, resume: { by: ["header:X-User"] } },
    shared: { match: { path: "/shared" }, upstream, shared: {} },
  };
  const server = {
    listen: ["127.0.0.1:0", { address: "127.0.0.2:0", tls }],
    admin: "127.0.0.1:0",
    adminToken: token,
    workers: 2,
    redis: redis.url,
    drain: { timeout: "1s" },
  };
  const files = Object.entries(routes).map(([name, route]) => [
    `config/routes/${name}.yaml`,
    stringify(route),
  ]);
  const cwd = directoryOf({
    "config/sluice.yaml": stringify(server),
    token: `${token}\n`,
    ...Object.fromEntries(files),
  });
  const sluice = startSluice(["serve"], { cwd });
  await sluice.logged("ready");
  const secure = String((await sluice.logged("listening", 1))["address"]);
  const admin = String((await sluice.logged("admin listening"))["address"]);
  const gateway = { port: await sluice.port(), securePort: Number(secure.split(":")[1]) };
  return { admin, token, tokenFile: join(cwd, "token"), visit: () => visit(gateway) };
}

/** The backend: `/chat/open` and `/shared` stay open, all other streams end. */
function serve(request: BackendRequest): void {
  const { target, method } = request;
  if (target === "/chat/plain") {
    request.respond(200, {}, "plain");
    return;
  }
  request.openStream();
  if (target === "/model") void answerAsModel(request);
  else request.emit("id: 1\ndata: hello\n\n");
  if (target === "/chat/short" || method === "POST") setTimeout(() => request.endStream(), 200);
}

/** Every second answer has no usage. */
let answers = 0;
async function answerAsModel(request: BackendRequest): Promise<void> {
  answers++;
  const chunks = answers % 2 === 0 ? [CHAT_WITHOUT_USAGE] : CHAT_CHUNKS;
  for (const chunk of chunks) {
    request.emit(chunk);
    await sleep(5);
  }
}

interface Ports {
  readonly port: number;
  readonly securePort: number;
}

/** Sends requests that move every metric; some streams stay open. */
async function visit({ port, securePort }: Ports): Promise<void> {
  const url = `http://127.0.0.1:${port}`;
  for (const path of ["/chat/open", "/shared"])
    await openStream(port, { path, headers: EVENT_SOURCE }).opened();
  await openStream(port, { path: "/chat/short", headers: EVENT_SOURCE }).ended();
  for (const path of ["/chat/plain", "/dead", "/limited", "/limited", "/nowhere"]) await fetch(url + path);
  await fetch(`${url}/chat/plain`, { method: "POST", body: "upload" });
  for (let count = 0; count < 2; count++)
    await openStream(port, { path: "/model", method: "POST", body: "{}" }).ended();
  await resume(port);
  const secure = connect({ port: securePort, host: "127.0.0.2", rejectUnauthorized: false });
  afterTest(() => void secure.destroy());
  await eventually(() => secure.authorizationError !== null, "a handshake");
}

/** Leaves a named answer and comes back for it. */
async function resume(port: number): Promise<void> {
  const first = ask(port, { path: "/named" });
  await first.received("hello");
  first.leave();
  await ask(port, { path: "/named", lastEventId: lastIdOf(first) }).ended();
}
