import type { IncomingMessage } from "node:http";
import { ProxyError } from "../base/errors.ts";

/** Whether a request has a body; a chunked one may turn out to be empty. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && Number(length) > 0);
}

/**
 * Reads a body whole; 413 as soon as it is longer than `maxBytes`, or says that it will be. `onStart` is called
 * when it is wanted, for clients that ask before they send it.
 */
export function readWholeBody(
  request: IncomingMessage,
  maxBytes: number,
  onStart: () => void,
): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
  onStart();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBytes) return void chunks.push(chunk);
      chunks.length = 0;
      request.off("data", onData);
      // What still comes is read and dropped, so that the answer arrives instead of a reset.
      request.resume();
      reject(tooLarge(maxBytes));
    };
    request.on("data", onData);
    request.once("end", () => resolve(Buffer.concat(chunks, length)));
    // The client left in the middle of its request; there is nobody to answer.
    const brokeOff = () => reject(new ProxyError("bad_request", "the body broke off"));
    request.once("error", brokeOff);
    request.once("close", brokeOff);
  });
}

function tooLarge(maxBytes: number): ProxyError {
  return new ProxyError("body_too_large", `a body of more than ${maxBytes} bytes`);
}
