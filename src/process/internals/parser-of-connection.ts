import { createRequire } from "node:module";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Node's parser of one connection. */
interface NodeParser {
  readonly socket: Duplex | null;
  remove(): void;
  close(): void;
  [event: number]: unknown;
}

const { HTTPParser } = createRequire(import.meta.url)("_http_common") as {
  HTTPParser: { readonly kOnMessageBegin: number };
};

/** The events that Node listens for on a connection that it parses. */
const EVENTS = ["data", "end", "close", "drain", "error", "timeout", "pause", "resume"];

const STATE = Symbol("parser");
interface State {
  readonly listeners: readonly (readonly [event: string, listener: () => void])[];
  /** The bytes that the connection had brought when its last request began. */
  beganAt: number;
  /** The requests that began in that read. */
  begun: number;
}
type ParsedSocket = Socket & { parser?: NodeParser | null; [STATE]?: State };

/**
 * Node's HTTP/1 parser, which can give a connection back when it has refused a request, so that the request can be read
 * again in a form that it accepts.
 *
 * - Assumed of Node 20, 22 and 24: `socket.parser` is the parser of a connection. Node leaves its `kOnMessageBegin` unset,
 *   and the parser calls it at the first byte of a request. A new `data` listener makes the parser leave the reading to
 *   the stream. `remove` ends the parser's timers, and `close` frees it.
 * - Without it: requests with unknown methods, and of HTTP/1.2, are 501 and 505.
 * - Can go when Node's parser accepts any method and any minor version.
 */
export class ParserOfConnection {
  readonly #listener: (socket: Duplex) => void;

  /** `listener`: Node's own listener for connections. */
  constructor(listener: (socket: Duplex) => void) {
    this.#listener = listener;
  }

  /** Gives a connection to the parser. */
  parse(connection: Duplex): void {
    const socket = connection as ParsedSocket;
    const earlier = new Set(EVENTS.flatMap((event) => socket.rawListeners(event)));
    this.#listener(socket);
    const listeners = EVENTS.flatMap((event) =>
      socket
        .rawListeners(event)
        .filter((listener) => !earlier.has(listener))
        .map((listener) => [event, listener as () => void] as const),
    );
    socket[STATE] = { listeners, beganAt: -1, begun: 0 };
    if (socket.parser) socket.parser[HTTPParser.kOnMessageBegin] = noteBegin;
  }

  /** Whether one request, and no other, has begun in the bytes that were read last. */
  hasBegunOne(connection: Duplex): boolean {
    const socket = connection as ParsedSocket;
    const state = socket[STATE];
    return state?.begun === 1 && state.beganAt === socket.bytesRead;
  }

  /** Takes a connection back from the parser, during the `clientError` event of a request. Leaves it paused. */
  takeBack(connection: Duplex): void {
    const socket = connection as ParsedSocket;
    const { parser } = socket;
    socket.on("data", ignore);
    socket.removeListener("data", ignore);
    socket.pause();
    for (const [event, listener] of socket[STATE]?.listeners ?? []) socket.removeListener(event, listener);
    if (!parser) return;
    parser.remove();
    socket.parser = null;
    // It is still executing.
    setImmediate(() => parser.close());
  }
}

/** One function for all parsers: Node uses a parser for another connection later, and it would keep this one alive. */
function noteBegin(this: NodeParser): void {
  const socket = this.socket as ParsedSocket | null;
  const state = socket?.[STATE];
  if (!socket || state === undefined) return;
  const { bytesRead } = socket;
  state.begun = state.beganAt === bytesRead ? state.begun + 1 : 1;
  state.beganAt = bytesRead;
}

const ignore = (): void => {};
