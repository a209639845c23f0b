import { createServer } from "node:http";
import { answerWith } from "./processes.mjs";

/** A backend of language models: sends the tokens of each answer one by one, and ends all answers when it is told to. */
const TOKEN_EVERY_MS = 20;
const responses = new Set();
let asked = 0;

function onRequest(request, response, { tokens, bytes }) {
  request.resume();
  asked += 1;
  responses.add(response);
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.flushHeaders();
  let sent = 0;
  const timer = setInterval(() => {
    sent += 1;
    response.write(`data: ${String(sent).padEnd(bytes - "data: \n\n".length, ".")}\n\n`);
    if (sent === tokens) clearInterval(timer);
  }, TOKEN_EVERY_MS);
  response.on("close", () => {
    clearInterval(timer);
    responses.delete(response);
  });
}

answerWith({
  start: (setup) =>
    new Promise((resolve) => {
      const server = createServer((request, response) => onRequest(request, response, setup));
      server.listen(0, "127.0.0.1", 4_096, () => resolve(server.address().port));
    }),
  counts: () => ({ asked, running: responses.size }),
  end: () => {
    for (const response of responses) response.end();
  },
});
