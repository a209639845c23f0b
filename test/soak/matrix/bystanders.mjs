import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { endOf, markOf } from "./answers.mjs";

/**
 * Correct clients beside the cases: one holds an event stream, one repeats a request. A fault of another exchange
 * must not affect them.
 */
const ASK_EVERY_MS = 60;
const ANSWER_MS = 30_000;
/**
 * So many connections in a row may end without an answer: a gateway ends those on which no request has come in
 * `limits.requestTimeout`, and a busy machine may take that long for a handshake.
 */
const MOST_UNANSWERED = 10;
/** No answer at all, or that to a connection on which no request came in time. */
const UNANSWERED = /^(?:$|HTTP\/1\.1 408)/;

const ms = (since) => Math.round(performance.now() - since);

/** The backend's responses to the bystanders, and to the clients that count places. */
export function plainAnswer(name) {
  const isStream = /^(?:bystander|places|calm)/.test(name);
  const body = isStream ? "" : `${markOf(name)}${endOf(name)}`;
  const framing = isStream ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`;
  const type = isStream ? "text/event-stream" : "text/plain";
  const wire = Buffer.from(
    `HTTP/1.1 200 OK\r\nX-Mark: ${name}\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n${body}`,
  );
  return {
    wire,
    fault: { kind: "none", at: 0 },
    splits: [],
    isHeadOnly: false,
    isChunked: isStream,
    after: isStream ? "stay" : "keep",
    delayMs: 0,
    isEarly: false,
    joins: false,
  };
}

/** Watches a gateway until `stop`, which resolves with the errors as texts. */
export class Bystanders {
  #gateway;
  #broken = [];
  #isOver = false;
  #runs = [];
  #sockets = new Set();

  constructor(gateway) {
    this.#gateway = gateway;
  }

  start() {
    this.#runs = [this.#hold("/relay/bystander", true), this.#ask()];
    if (this.#gateway.name === "one") this.#runs.push(this.#hold("/shared/bystander", false));
    return this;
  }

  async stop() {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#runs);
    // The errors of a gateway that died belong to no case.
    return this.#gateway.isUp ? this.#broken : [];
  }

  #connect(isTls) {
    const place = this.#gateway.placeOf("tcp", isTls);
    const socket = isTls ? connectTls({ ...place, rejectUnauthorized: false }) : connect(place);
    socket.on("error", () => {});
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return socket;
  }

  /** Reopens the stream after `maxDuration`; any other end and any missing number is an error. */
  async #hold(path, isTls) {
    for (let unanswered = 0; !this.#isOver; ) {
      const socket = this.#connect(isTls);
      let text = "";
      let last = 0;
      let first = "";
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n`);
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
        if (first === "") first = text;
        const lines = text.split("\n");
        text = lines.pop();
        for (const line of lines) {
          const id = Number(/^id: (\d+)$/.exec(line)?.[1] ?? 0);
          if (id > 0 && last > 0 && id !== last + 1) this.#fault(`${path}: event ${id} behind ${last}`);
          if (id > 0) last = id;
          if (line === "0\r") socket.end();
          if (/^HTTP\/1\.1 (?!200|408)/.test(line)) this.#fault(`${path}: ${line.trim()}`);
        }
      });
      await new Promise((resolve) => socket.once("close", resolve));
      unanswered = UNANSWERED.test(first) ? unanswered + 1 : 0;
      if (unanswered > 0 && unanswered < MOST_UNANSWERED) await sleep(200);
      else if (!socket.writableEnded && !this.#isOver) {
        this.#fault(`${path}: the stream broke off behind event ${last}`);
        await sleep(200);
      }
    }
  }

  /** Sends requests on one connection, and expects its own responses in order. */
  async #ask() {
    let unanswered = 0;
    for (let at = 0; !this.#isOver; ) {
      const socket = this.#connect(false);
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
      });
      while (!socket.destroyed && !this.#isOver) {
        const name = `asks${at++}`;
        text = "";
        socket.write(`GET /relay/${name} HTTP/1.1\r\nHost: a\r\n\r\n`);
        const askedAt = performance.now();
        const deadline = askedAt + ANSWER_MS;
        while (!text.includes(endOf(name)) && !socket.destroyed && performance.now() < deadline)
          await sleep(5);
        const isRight =
          text.startsWith("HTTP/1.1 200") && text.includes(markOf(name)) && text.includes(endOf(name));
        const isClosed = socket.destroyed && UNANSWERED.test(text);
        unanswered = isClosed ? unanswered + 1 : 0;
        const isLate = isClosed && unanswered < MOST_UNANSWERED;
        if (!isRight && !isLate && !this.#isOver) this.#missed(name, text, askedAt, socket);
        if (!isRight) socket.destroy();
        await sleep(ASK_EVERY_MS);
      }
    }
  }

  #missed(name, text, askedAt, socket) {
    const got = `got ${JSON.stringify(text.slice(0, 200))} in ${ms(askedAt)} ms`;
    const asked = this.#gateway.backend.has(name) ? "was asked" : "was not asked";
    this.#fault(`/relay/${name}: ${got}, the backend ${asked}, closed: ${socket.destroyed}`);
  }

  #fault(text) {
    if (this.#broken.length < 5) this.#broken.push(text);
  }
}
