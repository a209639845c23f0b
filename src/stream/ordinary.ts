import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { pairs } from "../http/fields.ts";
import type { Source } from "../http/source.ts";
import { responseTrailers } from "../http/trailers.ts";
import { ClientWriter } from "./client-writer.ts";
import { isStream, ordinaryHead, streamHead } from "./response-head.ts";

/**
 * The most of an ordinary answer that waits for its client; the last read may be on top of it. Nothing is gained by
 * more, and 4,000 clients that read next to nothing of their downloads would hold a gigabyte at `clientBuffer`.
 */
const MAX_PENDING_BYTES = 16 * 1024;

/** Passes on an ordinary answer as it is, trailers included; cancelled when the client leaves. */
export function forward(exchange: Exchange, response: ClientResponse, backend: Source, route: Route): void {
  const { head } = backend;
  const writer = new ClientWriter(exchange, response, {
    clientBuffer: MAX_PENDING_BYTES,
    sendTimeout: route.config.stream.sendTimeout,
  });
  // HEAD on a stream: the same head as GET, and no stream.
  const isHeadOfStream = exchange.request.method === "HEAD" && isStream(head, route);
  writer.head((isHeadOfStream ? streamHead : ordinaryHead)(exchange, head, route));

  // A body that came along leaves with the head in one write.
  backend.start({
    onData(bytes, start, end) {
      exchange.bytesSent += end - start;
      if (response.write(bytes, start, end) || writer.hasRoom()) return;
      backend.pause();
      writer.onceDrained(() => backend.resume());
    },
    onEnd: (rawTrailers) => writer.end("completed", pairs(responseTrailers(rawTrailers))),
    onError: (error) => writer.abort("backend_failed", error),
  });
  response.onClose(() => {
    if (!response.isWhole) backend.cancel();
  });
  // One that is yet to come does not hold it back.
  if (exchange.bytesSent === 0) {
    const flush = exchange.guarded(() => {
      if (!response.isClosed && exchange.bytesSent === 0) writer.flush();
    });
    setImmediate(flush);
  }
}
