import { connect } from "node:net";
import { PLACES } from "./config.mjs";

/**
 * Counts the free places by taking them: at rest exactly as many streams as the limits allow must fit, and the next
 * is refused. A place that was not released is one stream fewer.
 */
const PATIENCE_MS = 30_000;
const CLIENTS = ["198.51.100.1", "198.51.100.2"];

/** A gateway ends a connection that begins late, which a busy machine may bring about: so often it is tried. */
const TRIES = 5;

/** Opens a stream of a client, through the PROXY listener; resolves with its socket and status. */
async function open(gateway, path, address) {
  let opened;
  for (let tries = 0; tries < TRIES && !opened?.status; tries++)
    opened = await tryToOpen(gateway, path, address);
  return opened;
}

/** The same once; the status is 0 without an answer. */
function tryToOpen(gateway, path, address) {
  const socket = connect(gateway.placeOf("proxy", false));
  socket.write(
    `PROXY TCP4 ${address} 192.0.2.99 40000 443\r\nGET ${path} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n`,
  );
  return new Promise((resolve) => {
    let text = "";
    const over = () => resolve({ socket, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0) });
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", over);
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (text.includes("\r\n\r\n")) over();
    });
  });
}

async function take(gateway, path, address, most) {
  const opened = await Promise.all(Array.from({ length: most }, () => open(gateway, path, address)));
  const next = await open(gateway, path, address);
  const taken = opened.filter(({ status }) => status === 200).length;
  const others = opened.map(({ status }) => status).filter((status) => status !== 200);
  return { taken, others, next: next.status, sockets: [...opened, next].map(({ socket }) => socket) };
}

/** Returns the violations of the stream limits as texts. */
export async function checkPlaces(gateway) {
  const { streams, ofRoute, ofClient } = PLACES;
  const steps = [
    ["places of a client on a route", "/relay/places", CLIENTS[0], ofClient, 429],
    ["places of a route", "/relay/places", CLIENTS[1], ofRoute - ofClient, 503],
    ["places of the gateway", "/socket/places", CLIENTS[1], streams - ofRoute, 503],
  ];
  const broken = [];
  const sockets = [];
  for (const [what, path, address, most, refusal] of steps) {
    const { taken, others, next, sockets: more } = await take(gateway, path, address, most);
    sockets.push(...more);
    if (taken !== most || next !== refusal)
      broken.push(
        `${what}: ${taken} of ${most} fit (others got ${others.slice(0, 3)}), the next one got ${next} instead of ${refusal}`,
      );
  }
  for (const socket of sockets) socket.destroy();
  return broken;
}

/** Returns the violations of `limits.connections`: each connection without a request takes a place. */
export async function checkConnections(gateway) {
  const ask = () => {
    const socket = connect(gateway.placeOf("tcp", false));
    socket.on("error", () => {});
    socket.write("GET /mock/fixed HTTP/1.1\r\nHost: a\r\n\r\n");
    return new Promise((resolve) => {
      const over = (text) => resolve({ socket, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0) });
      socket.setTimeout(PATIENCE_MS, () => socket.destroy());
      socket.once("data", (bytes) => over(bytes.toString("latin1")));
      socket.once("close", () => over(""));
    });
  };
  const opened = [];
  // In groups, so that they fit the listener's queue.
  for (let left = PLACES.connections; left > 0; left -= 50)
    opened.push(...(await Promise.all(Array.from({ length: Math.min(50, left) }, ask))));
  const next = await ask();
  const served = opened.filter(({ status }) => status === 200).length;
  for (const { socket } of [...opened, next]) socket.destroy();
  const isRight = served === PLACES.connections && next.status === 503;
  return isRight
    ? []
    : [
        `places of connections: ${served} of ${PLACES.connections} were served, the next one got ${next.status}`,
      ];
}
