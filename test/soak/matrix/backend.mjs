import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * A backend on bare sockets: reads requests, records each with its X-Request-Id, and sends the drawn response with
 * its fault at the drawn byte. A stream without an end sends an event at intervals.
 */
const EVENT_EVERY_MS = 25;
/** The delay before the backend ends its half after the gateway has ended its own. */
const HALF_OPEN_MS = 100;

export class Backend {
  /** Requests since `take`: `{ id, name, route, method, line }`. */
  #seen = [];
  #connections = new Set();
  #planOf;
  #onAnswer;
  #server;

  /** `planOf(route, name)` returns the response; `onAnswer(name)` is called at its first byte. */
  constructor(planOf, onAnswer) {
    this.#planOf = planOf;
    this.#onAnswer = onAnswer;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const connection = new BackendConnection(socket, this);
      this.#connections.add(connection);
      socket.on("close", () => this.#connections.delete(connection));
    });
  }

  async listen() {
    this.#server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
    await once(this.#server, "listening");
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  get open() {
    return this.#connections.size;
  }

  /** The requests with unfinished responses, on connections that the gateway still has open. */
  busy() {
    return [...this.#connections].filter(({ isBusy }) => isBusy).map(({ what }) => what);
  }

  /** Whether a request of that name has arrived since the last `take`. */
  has(name) {
    return this.#seen.some((request) => request.name === name);
  }

  /** Returns the requests since the last call. */
  take() {
    return this.#seen.splice(0);
  }

  /** Closes the idle connections. */
  endIdle() {
    for (const { isBusy, socket } of this.#connections) if (!isBusy) socket.end();
  }

  note(request) {
    this.#seen.push(request);
    return this.#planOf(request.route, request.name);
  }

  answering(name) {
    this.#onAnswer(name);
  }

  close() {
    this.#server.close();
    for (const { socket } of this.#connections) socket.destroy();
  }
}

class BackendConnection {
  /** Whether a request has an unfinished response. */
  isBusy = false;
  /** That request, for reports. */
  what = "";
  socket;
  #backend;
  #text = "";
  #request;

  constructor(socket, backend) {
    this.socket = socket;
    this.#backend = backend;
    socket.on("error", () => {});
    socket.on("data", (bytes) => this.#read(bytes.toString("latin1")));
    socket.on("end", () => setTimeout(() => socket.destroy(), this.isBusy ? HALF_OPEN_MS : 0));
  }

  #read(text) {
    // A tunnel answers every piece.
    if (this.#request?.isTunnel) {
      this.socket.write(text, "latin1");
      return;
    }
    this.#text += text;
    if (this.#request === undefined) this.#readHead();
    if (this.#request !== undefined && !this.#request.isRead) this.#readBody();
  }

  #readHead() {
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = this.#text.slice(0, end + 2);
    this.#text = this.#text.slice(end + 4);
    const [, method = "", route = "", name = ""] = /^(\S+) \/([a-z]+)\/([\w.]+)/.exec(head) ?? [];
    const field = (wanted) => new RegExp(`\r\n${wanted}: *([^\r]*)\r\n`, "i").exec(head)?.[1];
    this.isBusy = true;
    this.what = `${method} /${route}/${name}`;
    const plan = this.#backend.note({
      id: field("x-request-id"),
      name,
      route,
      method,
      line: head.slice(0, 80),
    });
    this.#request = {
      method,
      name,
      plan,
      length: Number(field("content-length") ?? 0),
      isChunked: field("transfer-encoding") !== undefined,
      upgrade: field("upgrade"),
      isRead: false,
      isAnswered: false,
      isOver: false,
      isTunnel: false,
    };
    if (plan === undefined) this.socket.destroy();
    else if (plan.isEarly) void this.#answer();
  }

  /** The rest of a request whose response came early is not another request. */
  #readBody() {
    const request = this.#request;
    const { length, isChunked } = request;
    const end = isChunked ? endOfChunks(this.#text) : length;
    if (end < 0 || this.#text.length < end) return;
    this.#text = this.#text.slice(end);
    request.isRead = true;
    if (request.isOver) this.#next();
    else if (!request.isAnswered) void this.#answer();
  }

  #next() {
    this.#request = undefined;
    this.isBusy = false;
    if (this.#text !== "") this.#read("");
  }

  async #answer() {
    const request = this.#request;
    const { plan, name, upgrade } = request;
    request.isAnswered = true;
    if (plan.delayMs > 0) await sleep(plan.delayMs);
    if (this.socket.destroyed) return;
    this.#backend.answering(name);
    if (upgrade !== undefined && plan.joins) await this.#join(request);
    else await this.#play(request);
  }

  async #join({ plan, name }) {
    this.#request.isTunnel = true;
    const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nX-Mark: ${name}\r\nSec-WebSocket-Accept: a\r\n`;
    const head = `HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`;
    const wire = Buffer.from(`${head}tunnel ${name} ${"t".repeat(plan.wire.length % 700)}`);
    const { kind, at } = plan.fault;
    await this.#write(wire, plan.splits, kind === "none" ? wire.length : at % (wire.length + 1));
    if (!this.#fail(plan) && plan.after === "close") this.socket.end();
  }

  async #play({ plan, method }) {
    const { wire, fault, splits, after, isHeadOnly } = plan;
    const isBodyless = method === "HEAD" || isHeadOnly;
    const end = isBodyless ? wire.indexOf("\r\n\r\n") + 4 : wire.length;
    const isFaulty = fault.kind !== "none" && fault.kind !== "garbage" && fault.kind !== "surplus";
    await this.#write(wire, splits, isFaulty ? Math.min(fault.at, end) : end);
    if (this.socket.destroyed || this.#fail(plan)) return;
    if (after === "stay" && !isBodyless) return this.#stay(plan.isChunked);
    this.#request.isOver = true;
    if (after === "close") this.socket.end();
    if (this.#request.isRead) this.#next();
  }

  async #write(wire, splits, end) {
    let from = 0;
    for (const { at, ms } of splits) {
      if (at >= end) break;
      this.socket.write(wire.subarray(from, at));
      from = at;
      await sleep(ms);
      if (this.socket.destroyed) return;
    }
    this.socket.write(wire.subarray(from, end));
  }

  /** Whether the response ends with its fault. */
  #fail({ fault: { kind } }) {
    const { socket } = this;
    if (kind === "reset") socket.resetAndDestroy();
    else if (kind === "cut" || kind === "nothing") socket.end(() => socket.destroySoon());
    // It sends its FIN and still reads.
    else if (kind === "halfClose") socket.end();
    // It sends nothing more until the gateway closes the connection.
    else return kind === "stall";
    return true;
  }

  #stay(isChunked) {
    let id = 100;
    const timer = setInterval(() => {
      id += 1;
      const block = `id: ${id}\ndata: more\n\n`;
      this.socket.write(isChunked ? `${block.length.toString(16)}\r\n${block}\r\n` : block);
    }, EVENT_EVERY_MS);
    this.socket.once("close", () => clearInterval(timer));
  }
}

/** Where a chunked body ends, trailers included; -1 while it has not come whole. What is in a chunk may look like an end. */
function endOfChunks(text) {
  let at = 0;
  for (;;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return -1;
    const size = Number.parseInt(text.slice(at, end), 16);
    at = end + 2;
    if (size === 0) break;
    at += size + 2;
    if (!(at <= text.length)) return -1;
  }
  for (let end = text.indexOf("\r\n", at); end >= 0; end = text.indexOf("\r\n", at)) {
    if (end === at) return at + 2;
    at = end + 2;
  }
  return -1;
}
