import type { ClientResponse } from "../../src/http/client-response.ts";
import type { SharedBytes } from "../../src/http/shared-bytes.ts";

/** A client's connection that accepts as many bytes as the test allows. */
export class FakeResponse implements ClientResponse {
  status = 0;
  fields: readonly string[] = [];
  isHeadSent = false;
  isClosed = false;
  isWhole = false;
  takenBytes = 0;
  pendingBytes = 0;
  /** While set, written bytes wait. */
  isStalled = false;
  readonly #parts: Buffer[] = [];
  readonly #onClose = new Set<() => void>();
  readonly #onDrain: (() => void)[] = [];

  /** All written bytes, accepted or waiting. */
  get written(): Buffer {
    return Buffer.concat(this.#parts);
  }

  usedBy(): void {}

  writeContinue(): void {}

  writeInterim(): void {}

  writeHead(status: number, _reason: string | undefined, fields: readonly string[]): void {
    this.isHeadSent = true;
    this.status = status;
    this.fields = fields;
  }

  flushHead(): void {}

  write(chunk: Buffer): boolean {
    this.#parts.push(Buffer.from(chunk));
    if (this.isStalled) this.pendingBytes += chunk.length;
    else this.takenBytes += chunk.length;
    return !this.isStalled;
  }

  writeShared({ plain }: SharedBytes): boolean {
    return this.write(plain);
  }

  end(lastPart?: Buffer): void {
    if (lastPart !== undefined) this.write(lastPart);
    this.isWhole = true;
    this.close();
  }

  breakOff(): void {
    this.close();
  }

  /** Makes the client accept the waiting bytes, or disconnect. */
  drain(): void {
    this.isStalled = false;
    this.takenBytes += this.pendingBytes;
    this.pendingBytes = 0;
    for (const callback of this.#onDrain) callback();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const callback of this.#onClose) callback();
  }

  onClose(callback: () => void): () => void {
    this.#onClose.add(callback);
    return () => this.#onClose.delete(callback);
  }

  onDrain(callback: () => void): void {
    this.#onDrain.push(callback);
  }
}
