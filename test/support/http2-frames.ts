import { connect as connectTcp, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { afterTest } from "./after-test.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";

/** The frame types (RFC 9113 section 6). */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
export const ACK = 0x1;

/** The error codes (RFC 9113 section 7). */
export const CODE = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  refused: 7,
  cancel: 8,
  calm: 11,
} as const;

export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Returns the bytes of a frame. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Encodes a number of a frame: an error code, an increment. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function hpackLength(length: number): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** Encodes fields as HPACK literals with exactly these bytes, even invalid ones; latin1. */
export function hpack(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0]),
      hpackLength(name.length),
      Buffer.from(name, "latin1"),
      hpackLength(value.length),
      Buffer.from(value, "latin1"),
    ]),
  );
}

/** Returns the pseudo-header fields of a GET. */
export const get = (path = "/", authority = "a.test"): [string, string][] => [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", path],
  [":authority", authority],
];

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** One HTTP/2 connection that sends exactly the given frames and keeps the received ones. */
export class FrameClient {
  readonly socket: TLSSocket;
  /** The transport. */
  readonly tcp: Socket;
  readonly frames: Frame[] = [];
  isClosed = false;
  #pending: Buffer = Buffer.alloc(0);

  constructor(socket: TLSSocket, tcp: Socket) {
    this.socket = socket;
    this.tcp = tcp;
    tcp.on("error", () => {});
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#feed(bytes));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Sends a request without a body. */
  request(stream: number, fields: readonly (readonly [string, string])[]): void {
    this.send(frame(FRAME.headers, END_HEADERS | END_STREAM, stream, hpack(fields)));
  }

  of(type: number, stream?: number): Frame[] {
    return this.frames.filter((one) => one.type === type && (stream === undefined || one.stream === stream));
  }

  /** Returns the status of a response as nghttp2 encodes it; 0 if not recognized. */
  status(stream: number): number | undefined {
    const payload = this.of(FRAME.headers, stream)[0]?.payload;
    if (payload === undefined) return undefined;
    // Indexed: entries 8 to 14 of the static table. Others are literals with Huffman-coded digits.
    const indexed = [200, 204, 206, 304, 400, 404, 500][(payload[0] ?? 0) - 0x88];
    return indexed ?? 0;
  }

  resetCode(stream: number): number | undefined {
    return this.of(FRAME.reset, stream)[0]?.payload.readUInt32BE(0);
  }

  goawayCode(): number | undefined {
    return this.of(FRAME.goaway)[0]?.payload.readUInt32BE(4);
  }

  /** Waits until a stream has a response or a reset, or the connection ended. */
  async settled(stream: number): Promise<void> {
    await eventually(
      () => this.status(stream) !== undefined || this.resetCode(stream) !== undefined || this.isClosed,
      `an answer on stream ${stream}`,
    );
  }

  /** Waits for the end of the connection. */
  async closed(timeoutMs = PATIENCE_MS): Promise<void> {
    await eventually(() => this.isClosed, "the end of the connection", { timeoutMs });
  }

  #feed(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) return;
      this.frames.push({
        type: this.#pending.readUInt8(3),
        flags: this.#pending.readUInt8(4),
        stream: this.#pending.readUInt32BE(5),
        payload: this.#pending.subarray(9, 9 + length),
      });
      this.#pending = this.#pending.subarray(9 + length);
    }
  }
}

/** Connects to a local port and sends the connection preface. */
export async function openFrames(port: number): Promise<FrameClient> {
  const tcp = connectTcp(port, "127.0.0.1");
  const options = { socket: tcp, rejectUnauthorized: false, ALPNProtocols: ["h2"] };
  const client = new FrameClient(connect(options), tcp);
  afterTest(() => {
    client.tcp.destroy();
  });
  client.send(Buffer.from(PREFACE), frame(FRAME.settings, 0, 0));
  await eventually(() => client.of(FRAME.settings).length > 0, "the server's settings");
  client.send(frame(FRAME.settings, ACK, 0));
  return client;
}
