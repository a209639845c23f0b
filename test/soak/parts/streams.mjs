import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { answerWith } from "./processes.mjs";

/**
 * Clients that each hold one event stream like an EventSource: they count missing and repeated events, and reconnect
 * after the reconnection time with their last id.
 */
const FIRST_RETRY_MS = 1_000;
/** The number of streams opened at the same time. */
const OPENED_AT_A_TIME = 50;

const seen = { opened: 0, ended: 0, refused: 0, refusal: "", lost: 0, repeated: 0, gaps: 0, hints: 0 };
const open = new Set();
let port;
let isOver = false;

class Client {
  last = 0;
  retryMs = FIRST_RETRY_MS;
  rest = "";

  connect() {
    if (isOver) return;
    const resume = this.last === 0 ? "" : `Last-Event-ID: ${this.last}\r\n`;
    const socket = connect(port, "127.0.0.1");
    let head = "";
    let isOpen = false;
    socket.write(`GET /stream HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n${resume}\r\n`);
    socket.setEncoding("latin1").on("data", (text) => {
      if (isOpen) return this.read(text);
      head += text;
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!head.startsWith("HTTP/1.1 200")) {
        seen.refused += 1;
        seen.refusal = head.slice(0, 600);
        return socket.destroy();
      }
      isOpen = true;
      open.add(this);
      seen.opened += 1;
      this.read(head.slice(end + 4));
    });
    // The last chunk; the connection would stay open for another request.
    this.over = () => socket.destroy();
    socket.on("error", () => {});
    socket.on("close", () => {
      open.delete(this);
      if (isOpen) seen.ended += 1;
      else if (!isOver) seen.refused += 1;
      this.rest = "";
      setTimeout(() => this.connect(), this.retryMs * (0.8 + 0.2 * Math.random()));
    });
  }

  /** Chunk sizes are separate lines that no line of an event resembles. */
  read(text) {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("id: ")) this.take(Number(line.slice(4)));
      else if (line.startsWith("retry: ")) this.hint(Number(line.slice(7)));
      else if (line.startsWith("event: sluice.gap")) seen.gaps += 1;
      else if (line === "0\r") this.over();
    }
  }

  take(id) {
    if (this.last !== 0 && id > this.last + 1) seen.lost += id - this.last - 1;
    if (id <= this.last) seen.repeated += 1;
    else this.last = id;
  }

  hint(ms) {
    this.retryMs = ms;
    seen.hints += 1;
  }
}

let clients = [];

answerWith({
  async start({ count, port: at }) {
    port = at;
    clients = Array.from({ length: count }, () => new Client());
    for (const [at, client] of clients.entries()) {
      client.connect();
      if (at % OPENED_AT_A_TIME === 0) await sleep(20);
    }
    while (open.size < count) await sleep(50);
  },
  /** Returns the lowest event that all clients have, and the errors. */
  state: () => ({ ...seen, open: open.size, least: Math.min(...clients.map(({ last }) => last)) }),
  stop: () => {
    isOver = true;
  },
});
