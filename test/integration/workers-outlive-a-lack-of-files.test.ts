import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

const FILES = 260;
const HELLO = { match: { path: "/*" }, mock: { status: 200, body: "hello" } };

/**
 * Earlier, a connection for which a worker had no file was lost, and node:cluster waited for the worker's answer for
 * ever: the worker never got another connection, even when files were free again.
 */
test("clients without a file get a refusal or are closed, and all are served again when files are free", async () => {
  const served = await serveWorkers(
    { routes: { main: HELLO }, server: { limits: { connections: "off", streams: "off" } } },
    { under: ["sh", "-c", `ulimit -n ${FILES}; exec "$0" "$@"`] },
  );
  const crowd: ReturnType<typeof ask>[] = [];
  const settled = () => crowd.every(({ socket, text }) => socket.closed || text().startsWith("HTTP/1.1 "));
  while (crowd.length < 3 * FILES) {
    // Not all at once, otherwise the primary itself would have no file descriptors.
    for (let n = 0; n < 20; n++) crowd.push(ask(served.port));
    await eventually(settled, "an answer or an end for each");
  }
  expect(crowd.filter(({ text }) => text().startsWith("HTTP/1.1 200")).length).toBeGreaterThan(FILES);
  const short = () => served.lines("out of open files: new connections are refused").length;
  await eventually(() => short() > 0, "a lack of files");
  for (const { socket } of crowd) socket.destroy();
  await eventually(() => served.lines("open files are free again").length === short(), "free files");
  const statuses = [];
  for (let n = 0; n < 4; n++) statuses.push((await fetchOnce(served.url)).status);
  expect(statuses).toEqual([200, 200, 200, 200]);
});

/** Sends a request on a connection that stays open. */
function ask(port: number): { readonly socket: Socket; text(): string } {
  let text = "";
  const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  socket.on("error", () => {});
  socket.on("data", (bytes) => {
    text += String(bytes);
  });
  return { socket, text: () => text };
}
