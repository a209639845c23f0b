import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openRelay } from "../support/relay.ts";

test("each event reaches the client before the backend sends the next", async () => {
  const { client, request } = await openRelay();
  // The backend waits for the client each time: one held event and this never ends.
  for (let n = 0; n < 200; n++) {
    request.emit(`data: ${n}\n\n`);
    await eventually(() => client.text.endsWith(`data: ${n}\n\n`), `event ${n}`);
  }
  expect(client.text).toBe(`:\n${Array.from({ length: 200 }, (_, n) => `data: ${n}\n\n`).join("")}`);
});

test("half an event is sent too", async () => {
  const { client, request } = await openRelay();
  for (const piece of ["d", "ata: ha", "lf", "\n", "\n"]) {
    const before = client.body.length;
    request.emit(piece);
    await eventually(() => client.body.length === before + piece.length, JSON.stringify(piece));
  }
});

/** Whether Node has set TCP_NODELAY: it has no public property for this, but a symbol of the socket shows it. */
const hasNoDelay = (socket: Socket): unknown => {
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "kSetNoDelay");
  return key !== undefined && Reflect.get(socket, key);
};

// A measured time would not show it, because the kernel decides when and how long it delays an acknowledgement.
test("Nagle's algorithm delays no small write, on either side", async () => {
  const sockets: Socket[] = [];
  const onSocket = (message: unknown) => void sockets.push((message as { socket: Socket }).socket);
  for (const name of ["net.server.socket", "net.client.socket"]) {
    subscribe(name, onSocket);
    onTestFinished(() => void unsubscribe(name, onSocket));
  }
  const { client, backend, gateway } = await openRelay();
  await client.received(":\n");
  const backendPort = Number(new URL(backend.url).port);
  const ours = sockets.filter(
    ({ localPort, remotePort }) => localPort === gateway.port || remotePort === backendPort,
  );
  expect(ours.map(hasNoDelay)).toEqual([true, true]);
});
