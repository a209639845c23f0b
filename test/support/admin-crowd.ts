import { connect, type Socket } from "node:net";
import { afterTest } from "./after-test.ts";
import { eventually } from "./eventually.ts";

/** Many connections to the admin listener. */
export interface AdminCrowd {
  readonly sockets: readonly Socket[];
  /** The number of connections that are still open. */
  readonly held: number;
  /** The bytes received on all of them. */
  readonly text: string;
}

/** Opens `count` connections to `url`, sends `bytes` on each, and waits until all are accepted. */
export async function openCrowd(url: string, count: number, bytes = ""): Promise<AdminCrowd> {
  const { hostname: host, port } = new URL(url);
  const over = new Set<Socket>();
  let isConnected = 0;
  let text = "";
  const sockets = Array.from({ length: count }, () => {
    const socket = connect({ host, port: Number(port) }, () => {
      isConnected++;
      if (bytes !== "") socket.write(bytes);
    });
    socket.on("data", (piece) => {
      text += piece;
    });
    socket.on("error", () => {});
    socket.once("close", () => over.add(socket));
    afterTest(() => void socket.destroy());
    return socket;
  });
  await eventually(() => isConnected === count, `${count} connections`);
  return {
    sockets,
    get held() {
      return count - over.size;
    },
    get text() {
      return text;
    },
  };
}
