import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { createServer as createTlsServer, connect as secure } from "node:tls";
import { expect, test } from "vitest";
import { resetConnection } from "../../../src/listen/reset-connection.ts";
import { afterTest } from "../../support/after-test.ts";
import { certificate } from "../../support/certificate.ts";
import { eventually } from "../../support/eventually.ts";

/**
 * Returns the server's end of a connection, the TCP connection under it, and how the connection ends for the client.
 */
async function startConnection(isTls: boolean) {
  const tls = createTlsServer(certificate);
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  afterTest(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const client = isTls ? secure({ port, host: "127.0.0.1", rejectUnauthorized: false }) : connect(port);
  afterTest(() => void client.destroy());
  const ends: string[] = [];
  client.resume();
  client.on("error", ({ code }: NodeJS.ErrnoException) => ends.push(String(code)));
  client.on("end", () => ends.push("end"));
  const [raw] = await accepted;
  if (!isTls) return { socket: raw, raw, ends };
  const secured = once(tls, "secureConnection") as Promise<[Socket]>;
  const ready = once(client, "secureConnect");
  tls.emit("connection", raw);
  const [socket] = await secured;
  await ready;
  return { socket, raw, ends };
}

for (const isTls of [false, true]) {
  const kind = isTls ? "TLS" : "TCP";

  test(`${kind}: the client sees a reset`, async () => {
    const { socket, raw, ends } = await startConnection(isTls);
    resetConnection(socket);
    await eventually(() => raw.closed && ends.length > 0, "the end of the connection");
    expect(ends).toEqual(["ECONNRESET"]);
  });

  test(`${kind}: a connection whose own half is being ended is closed, because libuv cannot reset it`, async () => {
    const { socket, raw } = await startConnection(isTls);
    const errors: Error[] = [];
    for (const one of [socket, raw]) one.on("error", (error) => errors.push(error));
    let closes = 0;
    raw.on("close", () => closes++);
    // As when a client ends its half in the turn in which the backend aborts.
    socket.end();
    resetConnection(socket);
    await eventually(() => closes === 1, "the end of the connection");
    expect(errors).toEqual([]);
  });
}
