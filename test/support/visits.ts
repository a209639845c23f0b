import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** The number of visits at a time. */
const AT_ONCE = 25;

/** The actions of the `n`th visitor on its connection until it disconnects. */
export type Visit = (port: number, socket: Socket, n: number) => Promise<void>;

/** Makes `count` visits to a port; every second visitor disconnects with a reset. Resolves when all are closed. */
export async function visits(port: number, count: number, visit: Visit): Promise<void> {
  for (let n = 0; n < count; n += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => visitOnce(port, n + index, visit)));
  }
}

async function visitOnce(port: number, n: number, visit: Visit): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  await visit(port, socket, n);
  if (n % 2 === 0) socket.destroy();
  else socket.resetAndDestroy();
  if (!socket.closed) await once(socket, "close");
}
