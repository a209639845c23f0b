import { createHash } from "node:crypto";
import type { Exchange } from "../exchange/exchange.ts";

/**
 * Hashes a request's body while it is read, by whatever reads it: nothing of it is kept. Resolves with SHA-256 in hex,
 * or with undefined if the body is incomplete. To be called before anything reads the body.
 */
export function hashBody({ body, request, account }: Exchange): Promise<string | undefined> {
  if (body !== undefined) return Promise.resolve(body.hash);
  const hash = createHash("sha256");
  const stream = request.body?.stream;
  if (stream === undefined) return Promise.resolve(hash.digest("hex"));
  if (stream.destroyed) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const onData = (part: Buffer) => {
      hash.update(part);
      // The exchange that sends the body is the answer's own, which counts for no client.
      account.addReceived(part.length);
    };
    // A listener of `data` would start the stream, before its other reader is there.
    stream.once("resume", () => stream.on("data", onData));
    stream.once("end", () => resolve(hash.digest("hex")));
    stream.once("close", () => resolve(undefined));
  });
}
