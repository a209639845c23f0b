import type { ServerResponse } from "node:http";
import type { SharedBytes } from "../base/shared-bytes.ts";
import type { ClientResponse } from "../pipeline/client-response.ts";

/** A response that node:http frames. */
export class NodeResponse implements ClientResponse {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    // A write to a client that left in the same moment; its `close` says all there is to say.
    response.on("error", () => response.destroy());
  }

  get isHeadSent(): boolean {
    return this.#response.headersSent;
  }

  get isClosed(): boolean {
    return this.#response.closed;
  }

  get isWhole(): boolean {
    return this.#response.writableFinished;
  }

  get pendingBytes(): number {
    return this.#response.writableLength;
  }

  get takenBytes(): number {
    const { socket } = this.#response;
    return socket === null ? 0 : socket.bytesWritten - socket.writableLength;
  }

  writeContinue(): void {
    this.#response.writeContinue();
  }

  writeHead(status: number, reason: string | undefined, fields: readonly string[]): void {
    // Node takes flat fields as they are; its types know them as a mutable array only.
    if (reason === undefined) this.#response.writeHead(status, fields as string[]);
    else this.#response.writeHead(status, reason, fields as string[]);
  }

  flushHead(): void {
    this.#response.flushHeaders();
  }

  write(bytes: Buffer, start = 0, end = bytes.length): boolean {
    return this.#response.write(Buffer.from(bytes.subarray(start, end)));
  }

  writeShared({ plain }: SharedBytes): boolean {
    return this.#response.write(plain);
  }

  end(lastPart?: Buffer, trailers: readonly [name: string, value: string][] = []): void {
    if (this.#response.closed) return;
    if (trailers.length > 0) this.#response.addTrailers(trailers);
    this.#response.end(lastPart);
  }

  /**
   * HTTP/1.1 sees its connection closed before the last chunk. HTTP/1.0 bodies may end with the connection,
   * so only a reset tells.
   */
  breakOff(): void {
    // What was written in this turn is corked until the next tick: let it out first.
    process.nextTick(() => {
      if (this.#response.req.httpVersion === "1.0") this.#response.socket?.resetAndDestroy();
      this.#response.destroy();
    });
  }

  onClose(callback: () => void): () => void {
    this.#response.once("close", callback);
    return () => this.#response.removeListener("close", callback);
  }

  onDrain(callback: () => void): void {
    this.#response.on("drain", callback);
  }
}
