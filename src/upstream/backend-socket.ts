import { connect, type NetConnectOpts, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions as TlsOptions } from "node:tls";
import { ROOM_BEFORE, ROOM_BEHIND } from "../http/chunk.ts";
import type { BorrowedBytes } from "../http/source.ts";
import { readCallback } from "../process/internals/read-callback.ts";

/** The maximum number of bytes of one read. */
const READ_BYTES = 64 * 1024;

/**
 * The buffer that every backend connection of the process reads into. Its bytes are valid until the next read of any
 * connection: a consumer uses or copies them during the call. A buffer for each connection would be memory that lies
 * idle with its stream. Around each read is room for the frame that makes it an HTTP/1.1 chunk.
 */
export const READ_BUFFER: BorrowedBytes = Buffer.allocUnsafeSlow(ROOM_BEFORE + READ_BYTES + ROOM_BEHIND);

/** The offset in `READ_BUFFER` at which each read begins. */
export const READ_START = ROOM_BEFORE;

const READ_PART = READ_BUFFER.subarray(READ_START, READ_START + READ_BYTES);

/** The address of a backend and the options of its connections, merged once because each merge is slow. */
export type ConnectionWay =
  | { readonly tls: false; readonly options: NetConnectOpts }
  | { readonly tls: true; readonly options: TlsOptions };

/** Where connections go, and the most bytes of a response head on them. */
export type ConnectionTarget = ConnectionWay & { readonly headerBytes: number };

/**
 * Returns a target whose connections read into `READ_BUFFER`: `onRead` is called with the socket and length of each
 * read, and returns true to go on reading.
 *
 * Its options are frozen, since all connections share them. The V8 of Node 20 also copies them faster so: from other
 * objects it made a new hidden class for each connection, which took 5 µs.
 */
export function readingTarget<T extends ConnectionTarget>(
  target: T,
  onRead: (socket: Socket, length: number) => true,
): T {
  const onread = readCallback(READ_PART, onRead);
  return { ...target, options: Object.freeze({ ...target.options, onread }) };
}

/** Connects to a backend. `session` is that of an earlier TLS handshake, to shorten this one. */
export function openBackendSocket(target: ConnectionTarget, session: Buffer | undefined): Socket {
  if (!target.tls) return connect(target.options);
  return connectTls(session === undefined ? target.options : { ...target.options, session });
}
