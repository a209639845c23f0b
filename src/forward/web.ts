import type { ServerResponse } from "node:http";
import { forwardableTrailers, pairs } from "../base/fields.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import type { Route } from "../pipeline/route.ts";
import { ClientWriter } from "../stream/client-writer.ts";
import { isStream, ordinaryHead, streamHead } from "../stream/response-head.ts";
import type { Source } from "../stream/source.ts";

/** Passes on an ordinary answer as it is, trailers included; cancelled when the client leaves. */
export function forward(exchange: Exchange, response: ServerResponse, backend: Source, route: Route): void {
  const { head } = backend;
  const writer = new ClientWriter(exchange, response, route.config.stream);
  // HEAD on a stream: the same head as GET, and no stream.
  const isHeadOfStream = exchange.request.method === "HEAD" && isStream(head, route);
  writer.head((isHeadOfStream ? streamHead : ordinaryHead)(exchange, head, route));

  // A body that came along leaves with the head in one write; one that is yet to come does not hold it back.
  setImmediate(() => {
    if (!response.closed && !response.writableEnded && exchange.bytesSent === 0) writer.flush();
  });

  head.on("data", (chunk: Buffer) => {
    if (writer.write(chunk)) return;
    head.pause();
    writer.onceDrained(() => head.resume());
  });
  head.once("end", () => {
    writer.end("completed", pairs(forwardableTrailers(head.rawTrailers)));
  });
  head.once("error", (error) => {
    writer.abort("backend_failed", error);
  });
  response.once("close", () => {
    if (!response.writableFinished) backend.cancel();
  });
}
