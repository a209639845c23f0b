import { connect, createServer } from "node:net";

/**
 * The lowest possible cost of a proxy in this runtime: two sockets, and the bytes of each are written to the other
 * without parsing, checks, counts or logs. The difference to sluice is the cost of sluice's work.
 *
 * It assumes that each request and each response arrive in one read, and that each stream has its own connection.
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
