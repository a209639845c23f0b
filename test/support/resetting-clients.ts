import { execFileSync } from "node:child_process";

/** Connects, sends all bytes and resets, one connection after another. */
const CLIENT = `
const { connect } = require("node:net");
const [where, count, bytes] = JSON.parse(process.argv[1]);
const once = () => new Promise((resolve) => {
  const socket = connect(where, () => socket.write(Buffer.from(bytes, "latin1"), () => socket.resetAndDestroy()));
  socket.on("error", () => {});
  socket.once("close", resolve);
});
(async () => { for (let at = 0; at < count; at++) await once(); })();
`;

/**
 * Sends `count` requests, each with a reset directly after it. It blocks this process meanwhile, so that a gateway in
 * it accepts the connections only after all resets.
 */
export function sendAndReset(port: number, bytes: string, count = 20): void {
  const where = { port, host: "127.0.0.1" };
  execFileSync(process.execPath, ["-e", CLIENT, JSON.stringify([where, count, bytes])]);
}
