import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Visits under way at a time. */
const AT_ONCE = 25;

/** What the `n`th visitor does on its connection until it leaves. */
export type Visit = (port: number, socket: Socket, n: number) => Promise<void>;

/** Visits a port so often; every second visitor leaves by a reset, and each of them is gone in the end. */
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
