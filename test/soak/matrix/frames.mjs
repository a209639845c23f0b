/**
 * Frames of HTTP/2 (RFC 9113) as bytes, legal and illegal ones. Tests have theirs in test/support/http2-frames.ts:
 * a soak runs on a Node that reads no TypeScript.
 */
export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 };
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 };

export function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function uint32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export const dataFrame = (stream, bytes, isLast) =>
  frame(FRAME.data, isLast ? FLAG.endStream : 0, stream, bytes);

/** SETTINGS with SETTINGS_INITIAL_WINDOW_SIZE. */
export const settingsFrame = (window) =>
  frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), uint32(window)]));

function lengthBytes(length) {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** Encodes fields as HPACK literals with exactly these bytes. */
export const fieldBlock = (fields) =>
  Buffer.concat(
    fields.flatMap(([name, value]) => [
      Buffer.from([0]),
      lengthBytes(name.length),
      Buffer.from(name, "latin1"),
      lengthBytes(value.length),
      Buffer.from(value, "latin1"),
    ]),
  );

/** Returns the frames of a fault, on a connection with requests on `streams`. */
export function faultFrames(kind, streams) {
  const last = streams.at(-1);
  if (kind === "reset") return frame(FRAME.reset, 0, last, uint32(8));
  if (kind === "resetAll")
    return Buffer.concat(streams.map((stream) => frame(FRAME.reset, 0, stream, uint32(0))));
  if (kind === "goaway") return frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(0), uint32(0)]));
  if (kind === "idleData") return dataFrame(last + 2, Buffer.from("x"), true);
  if (kind === "zeroWindow") return frame(FRAME.windowUpdate, 0, last, uint32(0));
  if (kind === "badHead")
    return frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, last + 2, Buffer.from("\xff\xff\xff"));
  if (kind === "settings") return frame(FRAME.settings, 0, 0, Buffer.from([0, 5, 0, 0, 0, 1]));
  return Buffer.concat(Array.from({ length: 20 }, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8))));
}

/** Splits received bytes into frames; calls `onFrame({ type, flags, stream, payload })`. */
export class FrameReader {
  #pending = Buffer.alloc(0);
  #onFrame;

  constructor(onFrame) {
    this.#onFrame = onFrame;
  }

  feed(bytes) {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3);
      if (this.#pending.length < 9 + length) return;
      this.#onFrame({
        type: this.#pending.readUInt8(3),
        flags: this.#pending.readUInt8(4),
        stream: this.#pending.readUInt32BE(5) & 0x7fffffff,
        payload: this.#pending.subarray(9, 9 + length),
      });
      this.#pending = this.#pending.subarray(9 + length);
    }
  }
}

/** Returns the frames that keep a connection going: the acknowledgement of settings, and window updates. */
export const SETTINGS_ACK = frame(FRAME.settings, FLAG.ack, 0);
export const roomFor = (stream, bytes) =>
  Buffer.concat([
    frame(FRAME.windowUpdate, 0, 0, uint32(bytes)),
    frame(FRAME.windowUpdate, 0, stream, uint32(bytes)),
  ]);
