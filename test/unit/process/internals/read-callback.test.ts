import { once } from "node:events";
import net, { type AddressInfo, type Server, type Socket } from "node:net";
import tls from "node:tls";
import { expect, test } from "vitest";
import { readCallback } from "../../../../src/process/internals/read-callback.ts";
import { afterTest } from "../../../support/after-test.ts";
import { certificate } from "../../../support/certificate.ts";
import { eventually } from "../../../support/eventually.ts";

const TEXTS = ["one", "second", "the third"];

async function portOf(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  afterTest(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Sends each client that connects the next text. */
function greet(): (socket: Socket) => void {
  let next = 0;
  return (socket) => {
    afterTest(() => void socket.destroy());
    socket.on("error", () => {});
    socket.write(TEXTS[next++] ?? "");
  };
}

const servers: [string, () => Server, typeof net.connect | typeof tls.connect][] = [
  ["TCP", () => net.createServer(greet()), net.connect],
  ["TLS", () => tls.createServer(certificate, greet()), tls.connect],
];

test.each(servers)(
  "by %s, connections with the same options each get their own reads",
  async (_, create, connect) => {
    const port = await portOf(create());
    const buffer = Buffer.alloc(64);
    const reads = new Map<Socket, string>();
    const onread = readCallback(buffer, (socket, length) => {
      reads.set(socket, (reads.get(socket) ?? "") + buffer.toString("latin1", 0, length));
      return true;
    });
    const options = Object.freeze({ port, host: "127.0.0.1", rejectUnauthorized: false, onread });
    const sockets: Socket[] = [];
    for (const text of TEXTS) {
      const socket = (connect as (to: object) => Socket)(options);
      afterTest(() => void socket.destroy());
      sockets.push(socket);
      await eventually(() => reads.get(socket) === text, `the text of ${text}`);
    }
    expect(sockets.map((socket) => reads.get(socket))).toEqual(TEXTS);
  },
);
