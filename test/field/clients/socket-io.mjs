import { createServer } from "node:http";
import { Server } from "socket.io";
import { io } from "socket.io-client";
import { ERROR_TEXT } from "../script.mjs";

export const packages = ["socket.io-client"];
export const label = "`socket.io-client` (long polling, then WebSocket)";

export function backend(script) {
  const server = createServer();
  const sockets = new Server(server);
  sockets.use((_socket, next) => next(script.round.mode === "error" ? new Error(ERROR_TEXT) : undefined));
  sockets.on("connection", async (socket) => {
    const { round } = script;
    socket.on("disconnect", () => round.lost());
    for await (const token of round.tokens()) socket.emit("token", token);
    socket.emit("end");
  });
  return server;
}

export function read(url, { saw, signal }) {
  const socket = io(url, { forceNew: true, reconnection: false });
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", resolve);
    socket.on("token", saw);
    socket.on("end", resolve);
    socket.on("connect_error", reject);
  }).finally(() => socket.disconnect());
}
