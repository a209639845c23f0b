// Lists the public members of classes and interfaces in src that src never reads: a member that is only written, or
// that only tests read, is dead code. knip looks at exports alone. The references are those of TypeScript's language
// server.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseSync, Visitor } from "oxc-parser";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SRC = join(ROOT, "src");

/** Members that are read, but not by their names: why, and which. */
const READ_ELSEWHERE = {
  "called in the other process, by a name in a message": [
    ...["PrimaryCalls.up", "PrimaryCalls.crashed", "CounterCalls.countConnections", "CounterCalls.putTicket"],
    ...["CounterCalls.takeTicket", "CounterCalls.countRequest", "CounterCalls.uncountRequest"],
    ...["CounterCalls.enterStream", "CounterCalls.leaveStream", "CounterCalls.admit"],
    ...["CounterCalls.findSession", "CounterCalls.putSession"],
  ],
  "called through an interface that the class fits": [
    ...["Hub.retire", "Hub.close", "Upstream.retire", "Upstream.close"],
    ...["Answers.retire", "Answers.close"],
    ...["History.shed", "Backend.weight"],
    ...["Poll.takenBytes", "Poll.move", "Subscriber.takenBytes", "Subscriber.move"],
    ...["SyntaxFault.file", "Token.line", "Token.column", "Reading.onEvent", "Reading.onComment"],
    "TimedBody.rawTrailers",
  ],
  "called by the program around sluice": [
    ...["Gateway.attach", "RunningGateway.attach", "RunningGateway.middleware"],
  ],
  "called by a library": [
    "LogOutput.write",
    "SpanQueue.onStart",
    "RouteHistogram.get",
    "BackendHistogram.get",
    "CustomMetricValues.aggregator",
  ],
  "read by a computed name": ["StallWatch.add"],
  "part of an object that is logged, printed or sent as JSON": [
    ...["Changes.added", "Changes.changed", "EndedStream.durationMs"],
  ],
  "read by a type guard": ["NewConnection.act"],
  "kept in memory, and not read": ["Held.native"],
  "read by the build": ["BrowserLibrary.package"],
};

/** A connection to `tsc --lsp`. */
class LanguageServer {
  #process = spawn(process.execPath, [join(ROOT, "node_modules/typescript/lib/tsc.js"), "--lsp", "--stdio"], {
    cwd: ROOT,
    stdio: ["pipe", "pipe", "inherit"],
  });
  #received = Buffer.alloc(0);
  #pending = new Map();
  #id = 0;

  constructor() {
    this.#process.stdout.on("data", (bytes) => this.#onData(bytes));
  }

  async start() {
    const uri = pathToFileURL(ROOT).href;
    await this.request("initialize", { processId: process.pid, rootUri: uri, capabilities: {} });
    this.notify("initialized", {});
  }

  request(method, params) {
    const id = ++this.#id;
    this.#send({ id, method, params });
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  notify(method, params) {
    this.#send({ method, params });
  }

  stop() {
    this.#process.kill();
  }

  #send(message) {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    this.#process.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  #onData(bytes) {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/Content-Length: (\d+)/i.exec(this.#received.toString("latin1", 0, end))[1]);
      if (this.#received.length < end + 4 + length) return;
      const message = JSON.parse(this.#received.subarray(end + 4, end + 4 + length));
      this.#received = this.#received.subarray(end + 4 + length);
      this.#take(message);
    }
  }

  #take({ id, method, params, result, error }) {
    // A request of the server's: for settings, of which there are none.
    if (method !== undefined && id !== undefined) {
      this.#send({ id, result: method === "workspace/configuration" ? params.items.map(() => null) : null });
      return;
    }
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (error !== undefined) pending?.reject(new Error(error.message));
    else pending?.resolve(result);
  }
}

/** A file, its members, and where it names a member without reading it. */
function read(path) {
  const text = readFileSync(path, "utf8");
  const members = [];
  const writes = new Set();
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lineStarts.push(at + 1);
  const placeOf = (offset) => {
    const line = lineStarts.findLastIndex((start) => start <= offset);
    return { line, character: offset - lineStarts[line] };
  };
  const keyOf = (offset) => {
    const { line, character } = placeOf(offset);
    return `${line}:${character}`;
  };
  const note = (owner, body, isClass) => {
    for (const { key, kind, override, computed } of body) {
      if (key?.type !== "Identifier" || computed) continue;
      writes.add(keyOf(key.start));
      if (override || kind === "constructor" || kind === "set") continue;
      members.push({ path, owner, isClass, name: key.name, place: placeOf(key.start) });
    }
  };
  new Visitor({
    ClassDeclaration: ({ id, body }) => note(id?.name, body.body, true),
    TSInterfaceDeclaration: ({ id, body }) => note(id.name, body.body, false),
    TSTypeLiteral: ({ members: own }) => note("{}", own, false),
    ObjectExpression: ({ properties }) => {
      for (const { key } of properties) if (key !== undefined) writes.add(keyOf(key.start));
    },
    AssignmentExpression: ({ left, operator }) => {
      if (operator === "=" && left.type === "MemberExpression") writes.add(keyOf(left.property.start));
    },
  }).visit(parseSync(path, text).program);
  return { path, text, members, writes };
}

const files = readdirSync(SRC, { recursive: true })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => read(join(SRC, name)));
const writesOf = new Map(files.map(({ path, writes }) => [pathToFileURL(path).href, writes]));

const server = new LanguageServer();
await server.start();
const all = [];
for (const { path, text, members } of files) {
  if (members.length === 0) continue;
  const textDocument = { uri: pathToFileURL(path).href };
  const opened = { ...textDocument, languageId: "typescript", version: 1, text };
  server.notify("textDocument/didOpen", { textDocument: opened });
  for (const member of members) {
    const places = await server.request("textDocument/references", {
      textDocument,
      position: member.place,
      context: { includeDeclaration: false },
    });
    const isRead = (places ?? []).some(
      ({ uri, range: { start } }) =>
        writesOf.has(uri) && !writesOf.get(uri).has(`${start.line}:${start.character}`),
    );
    all.push({ ...member, isRead });
  }
  server.notify("textDocument/didClose", { textDocument });
}
server.stop();

// Of interfaces and types only what no code reads under that name: values are made as literals, and go out as JSON.
const readNames = new Set(all.filter(({ isRead }) => isRead).map(({ name }) => name));
const dead = all
  .filter(
    ({ isRead, isClass, name, owner }) => !isRead && (isClass || (owner !== "{}" && !readNames.has(name))),
  )
  .map(({ path, owner, name }) => ({ path: relative(ROOT, path), member: `${owner}.${name}` }));
const explained = new Set(Object.values(READ_ELSEWHERE).flat());
const unexplained = dead.filter(({ member }) => !explained.has(member));
for (const { path, member } of unexplained) console.log(`${path}: ${member} is read nowhere in src`);
const outdated = [...explained].filter((name) => !dead.some(({ member }) => member === name));
for (const member of outdated) console.log(`test/unused-members.mjs: ${member} needs no reason any more`);
process.exitCode = unexplained.length + outdated.length === 0 ? 0 : 1;
