import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterTest } from "./after-test.ts";

/** One request over FastCGI; `send` writes a part of the response, starting with the field lines. */
export interface FastCgiRequest {
  readonly socket: Socket;
  send(text: string): void;
}

const STDOUT = 6;
const PARAMS = 4;

/** Starts a FastCGI backend on a free port, whose requests the test answers; closes it when the test ends. */
export async function startFastCgi(): Promise<{
  readonly port: number;
  readonly requests: readonly FastCgiRequest[];
}> {
  const requests: FastCgiRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    let bytes = Buffer.alloc(0);
    socket.on("data", (more) => {
      bytes = Buffer.concat([bytes, more]);
      for (let record = nextRecord(bytes); record !== undefined; record = nextRecord(bytes)) {
        bytes = bytes.subarray(record.end);
        // An empty record ends the parameters; the rest of the request is not needed.
        if (record.type !== PARAMS || record.length > 0) continue;
        const { id } = record;
        requests.push({ socket, send: (text) => socket.write(recordOf(STDOUT, id, Buffer.from(text))) });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, requests };
}

function nextRecord(bytes: Buffer) {
  if (bytes.length < 8) return undefined;
  const length = bytes.readUInt16BE(4);
  const end = 8 + length + bytes.readUInt8(6);
  if (bytes.length < end) return undefined;
  return { type: bytes.readUInt8(1), id: bytes.readUInt16BE(2), length, end };
}

function recordOf(type: number, id: number, content: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(1, 0);
  head.writeUInt8(type, 1);
  head.writeUInt16BE(id, 2);
  head.writeUInt16BE(content.length, 4);
  return Buffer.concat([head, content]);
}
