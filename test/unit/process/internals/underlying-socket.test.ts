import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import tls, { type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { underlyingSocket } from "../../../../src/process/internals/underlying-socket.ts";
import { afterTest } from "../../../support/after-test.ts";
import { certificate } from "../../../support/certificate.ts";

test("Node keeps the connection under a TLS socket in _parent", async () => {
  const handshakes = tls.createServer(certificate);
  const server = net.createServer((socket) => void handshakes.emit("connection", socket));
  afterTest(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const raw = once(server, "connection");
  const secure = once(handshakes, "secureConnection");
  const { port } = server.address() as AddressInfo;
  const client = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  client.on("error", () => {});
  afterTest(() => void client.destroy());
  const [socket] = (await secure) as [TLSSocket];
  expect(underlyingSocket(socket)).toBe((await raw)[0]);
});
