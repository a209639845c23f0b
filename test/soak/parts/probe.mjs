import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { answerWith } from "./processes.mjs";

/**
 * A well-behaved client among many hostile ones: it holds one event stream without a missing number, and repeats a
 * small request on new connections.
 */
const QUESTION_EVERY_MS = 100;
/** The longest wait for a response. */
const PATIENCE_MS = 5_000;

let seen;
let last = 0;
let lastAt = 0;

const fresh = () => ({ events: 0, missed: 0, ended: 0, silenceMs: 0, answered: 0, unanswered: 0, waits: [] });

function readStream(port) {
  const socket = connect(port, "127.0.0.1");
  let rest = "";
  socket.write("GET /stream HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
  socket.setEncoding("latin1").on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.startsWith("id: ")) take(Number(line.slice(4)));
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    seen.ended += 1;
  });
}

function take(id) {
  const now = performance.now();
  if (last !== 0) {
    seen.missed += id - last - 1;
    seen.silenceMs = Math.max(seen.silenceMs, now - lastAt);
  }
  seen.events += 1;
  last = id;
  lastAt = now;
}

function ask(port) {
  const startedAt = performance.now();
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.write("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  socket.setEncoding("latin1").on("data", (more) => {
    text += more;
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    if (!text.endsWith("\r\n\r\nhello")) {
      seen.unanswered += 1;
      return;
    }
    seen.answered += 1;
    seen.waits.push(performance.now() - startedAt);
  });
}

answerWith({
  start({ port }) {
    seen = fresh();
    readStream(port);
    setInterval(() => ask(port), QUESTION_EVERY_MS);
  },
  /** Returns the results since the last call. */
  take() {
    const { waits, silenceMs, ...counts } = seen;
    seen = fresh();
    const at95 = waits.sort((a, b) => a - b)[Math.floor(waits.length * 0.95)] ?? 0;
    return { ...counts, silenceMs: Math.round(silenceMs), p95Ms: Math.round(at95) };
  },
});
