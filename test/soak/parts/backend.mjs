import { createServer } from "node:http";
import { answerWith } from "./processes.mjs";

/**
 * A backend of numbered events. `/stream` sends the same events to every client, resumes after Last-Event-ID, and
 * never ends; `/upload` responds after the whole body, and `/download` responds with a long body.
 */
const KEPT = 100_000;
/** With more, 4,000 of them would fill the kernel's socket memory, and packet loss would be measured. */
const DOWNLOAD = Buffer.alloc(2 ** 17, "x");
const clients = new Set();
let last = 0;

const block = (id) => `id: ${id}\ndata: ${id}\n\n`;

function onRequest(request, response) {
  request.resume();
  if (request.url === "/download") response.end(DOWNLOAD);
  else if (request.url === "/upload") request.once("end", () => response.end("done"));
  else stream(request, response);
}

function stream(request, response) {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.flushHeaders();
  const seen = Number(request.headers["last-event-id"] ?? last);
  for (let id = Math.max(seen + 1, last - KEPT); id <= last; id++) response.write(block(id));
  clients.add(response);
  response.once("close", () => clients.delete(response));
}

answerWith({
  async start({ everyMs }) {
    const server = createServer(onRequest).listen({ port: 0, host: "127.0.0.1", backlog: 8192 });
    await new Promise((resolve) => server.once("listening", resolve));
    setInterval(() => {
      last += 1;
      const text = block(last);
      for (const client of clients) client.write(text);
    }, everyMs);
    return server.address().port;
  },
  last: () => last,
});
