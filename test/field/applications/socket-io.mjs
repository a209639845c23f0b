import { createServer } from "node:http";
import { Server } from "socket.io";
import { openPage } from "../browser.mjs";
import { TEXT } from "../script.mjs";

const PAGE = `<!doctype html><title>chat</title><script src="/socket.io/socket.io.js"></script><script>
const socket = io();
let text = "";
socket.on("token", (token) => { text += token; saw(token); });
const when = (isMet) => new Promise((resolve) => setInterval(() => isMet() && resolve(), 20));
window.isUpgraded = when(() => socket.io.engine?.transport.name === "websocket");
window.isComplete = when(() => text.length === ${TEXT.length});
</script>`;

/** Runs a check with the page open. */
const inPage = (check) => async (url, begin) => {
  const round = begin("tokens");
  const page = await openPage(url, round);
  try {
    return await check(page, round);
  } finally {
    await page.close();
  }
};

export const packages = ["socket.io"];
export const label = "a chat with socket.io in Chromium";
export const needs = "websocket";
export const checks = {
  messages: inPage(async (page, round) => {
    await page.evaluate("window.isComplete");
    if (round.text !== TEXT) throw new Error(`the page has ${JSON.stringify(round.text)}`);
    return round.isHeld ? "late" : "yes";
  }),
  upgrade: inPage(async (page) => {
    const name = "window.isUpgraded.then(() => true)";
    const isUpgraded = page.evaluate(`Promise.race([${name}, new Promise((r) => setTimeout(r, 5000))])`);
    return (await isUpgraded) ? "yes" : "remains with long polling";
  }),
};

export function backend(script) {
  const server = createServer((_request, response) => response.end(PAGE));
  new Server(server).on("connection", async (socket) => {
    for await (const token of script.round.tokens()) socket.emit("token", token);
  });
  return server;
}
