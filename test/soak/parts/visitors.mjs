import { connect } from "node:net";
import { answerWith } from "./processes.mjs";

/**
 * Clients that each connect once and request the version of the configuration.
 *
 * No response may have an older version than any response before the connection was opened; `newest` is that version,
 * so the check needs no clock.
 */
const seen = { answered: 0, refused: 0, wrong: 0 };
let newest = 0;
let timer;

function visit(port) {
  const before = newest;
  const socket = connect(port, "127.0.0.1");
  let text = "";
  let isCounted = false;
  const count = (what) => {
    if (isCounted) return;
    isCounted = true;
    seen[what] += 1;
  };
  socket.write("GET /version HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  socket.setEncoding("latin1").on("data", (more) => {
    text += more;
  });
  socket.on("error", () => count("refused"));
  socket.on("close", () => {
    const version = Number(/\r\n\r\nversion (\d+)$/.exec(text)?.[1] ?? Number.NaN);
    if (!text.startsWith("HTTP/1.1 200") || Number.isNaN(version)) return count("refused");
    if (version < before) count("wrong");
    newest = Math.max(newest, version);
    count("answered");
  });
}

answerWith({
  start({ port, perSecond }) {
    timer = setInterval(() => visit(port), 1000 / perSecond);
  },
  state: () => ({ ...seen, newest }),
  stop: () => clearInterval(timer),
});
