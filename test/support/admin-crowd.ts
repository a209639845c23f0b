import { connect, type Socket } from "node:net";
import { afterTest } from "./after-test.ts";
import { eventually } from "./eventually.ts";

/** Connections to the admin listener, and which of them still stand. */
export interface AdminCrowd {
  readonly sockets: readonly Socket[];
  /** How many the listener has not ended. */
  readonly held: number;
  /** What has come on all of them. */
  readonly text: string;
}

/** Opens so many connections to `url`, each of which begins with `bytes`; waits until all were accepted. */
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
