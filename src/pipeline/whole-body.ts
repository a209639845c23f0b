import { ProxyError } from "../base/errors.ts";
import type { RequestBody } from "./client-request.ts";

/**
 * Reads a body whole; 413 as soon as it is longer than `maxBytes`, or says that it will be. `onStart` is called
 * when it is wanted, for clients that ask before they send it.
 */
export function readWholeBody(
  { stream, length: announced }: RequestBody,
  maxBytes: number,
  onStart: () => void,
): Promise<Buffer> {
  if ((announced ?? 0) > maxBytes) return Promise.reject(tooLarge(maxBytes));
  onStart();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBytes) return void chunks.push(chunk);
      chunks.length = 0;
      stream.off("data", onData);
      // What still comes is read and dropped, so that the answer arrives instead of a reset.
      stream.resume();
      reject(tooLarge(maxBytes));
    };
    stream.on("data", onData);
    stream.once("end", () => resolve(Buffer.concat(chunks, length)));
    // The client left in the middle of its request; there is nobody to answer.
    const brokeOff = () => reject(new ProxyError("bad_request", "the body broke off"));
    stream.once("error", brokeOff);
    stream.once("close", brokeOff);
  });
}

function tooLarge(maxBytes: number): ProxyError {
  return new ProxyError("body_too_large", `a body of more than ${maxBytes} bytes`);
}
