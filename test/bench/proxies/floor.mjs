import { connect, createServer } from "node:net";

/**
 * No proxy, and the least that one can be in this runtime: two sockets, what one brings is written to the other, and
 * nothing is read, checked, counted or logged. What sluice costs beyond this is what it does.
 *
 * It trusts that each request and each answer come in one read, and that a stream's connection is its client's.
 */
const [port, backend] = process.argv.slice(2).map(Number);
const BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
const idle = [];

function dial() {
  const link = { client: undefined, socket: undefined, isStream: false };
  const callback = (length) => {
    const { client } = link;
    const text = BUFFER.latin1Slice(0, length);
    link.isStream ||= text.includes("text/event-stream");
    client.write(text, "latin1");
    if (!link.isStream) idle.push(link);
    return true;
  };
  link.socket = connect({
    port: backend,
    host: "127.0.0.1",
    noDelay: true,
    onread: { buffer: BUFFER, callback },
  });
  link.socket.on("error", () => link.client.destroy());
  return link;
}

const server = createServer({ noDelay: true }, (client) => {
  let link;
  client.on("data", (bytes) => {
    link = idle.pop() ?? dial();
    link.client = client;
    link.socket.write(bytes);
  });
  client.on("error", () => {});
  client.on("close", () => link?.isStream && link.socket.destroy());
});
server.listen(port, "127.0.0.1");
process.on("SIGTERM", () => process.exit());
