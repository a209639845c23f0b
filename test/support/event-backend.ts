import { type AddressInfo, createServer, type Socket } from "node:net";
import { chunkOf } from "./backend.ts";

/** The parameters in a request's query. */
interface Plan {
  /** The number of events, the ms between them, the ms between the head and the first event, the bytes of padding. */
  readonly n: number;
  readonly gap: number;
  readonly first: number;
  readonly pad: number;
  /** The number of events sent together. */
  readonly burst: number;
  readonly type: string;
  /** Uses HTTP/1.0: the body ends with the connection. */
  readonly isClosing: boolean;
  /** The events contain their send times. */
  readonly isTimed: boolean;
  readonly status: number;
  /** An additional field line. */
  readonly field: string;
  /** The complete raw response, which replaces everything else. */
  readonly raw: string | undefined;
  readonly lastEventId: number;
}

function planOf(head: string): Plan {
  const [line = ""] = head.split("\r\n");
  const query = new URLSearchParams(line.split(" ")[1]?.split("?")[1] ?? "");
  const number = (name: string, otherwise: number) => Number(query.get(name) ?? otherwise);
  return {
    n: number("n", 8),
    gap: number("gap", 250),
    first: number("first", 0),
    pad: number("pad", 0),
    burst: number("burst", 1),
    type: query.get("type") ?? "text/event-stream",
    isClosing: query.has("closing"),
    isTimed: !query.has("untimed"),
    status: number("status", 200),
    field: query.get("field") ?? "",
    raw: query.get("raw") ?? undefined,
    lastEventId: Number(/^last-event-id: (\d+)/im.exec(head)?.[1] ?? 0),
  };
}

function eventOf(i: number, { pad, type, isTimed }: Plan): string {
  const filling = pad === 0 ? {} : { pad: "x".repeat(pad) };
  const data = JSON.stringify({ i, ...(isTimed && { t: Date.now() }), ...filling });
  return type.startsWith("text/event-stream") ? `id: ${i}\ndata: ${data}\n\n` : `${data}\n`;
}

/** A backend whose stream depends on the query of the request, for tests of the probe. */
export interface EventBackend {
  readonly port: number;
  /** The number of requests so far. */
  requests(): number;
  url(query?: string): string;
  stop(): void;
}

/** Starts the backend on a free port of 127.0.0.1. */
export async function startEventBackend(): Promise<EventBackend> {
  const sockets = new Set<Socket>();
  let requests = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let received = "";
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString("latin1");
      const end = received.indexOf("\r\n\r\n");
      if (end < 0) return;
      const length = Number(/^content-length: (\d+)/im.exec(received)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      const head = received.slice(0, end + 2);
      received = "";
      requests += 1;
      answer(socket, head);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    requests: () => requests,
    url: (query = "") => `http://127.0.0.1:${port}/s?${query}`,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function answer(socket: Socket, head: string): void {
  const plan = planOf(head);
  if (plan.raw !== undefined) return void socket.end(plan.raw);
  const framing = plan.isClosing ? "Connection: close\r\n" : "Transfer-Encoding: chunked\r\n";
  const version = plan.isClosing ? "1.0" : "1.1";
  const field = plan.field === "" ? "" : `${plan.field}\r\n`;
  socket.write(
    `HTTP/${version} ${plan.status} Scripted\r\nContent-Type: ${plan.type}\r\nCache-Control: no-cache\r\n${field}${framing}\r\n`,
  );
  if (head.startsWith("HEAD ")) return void socket.end();
  let i = plan.lastEventId;
  const send = () => {
    if (socket.destroyed) return;
    let text = "";
    for (let count = 0; count < plan.burst && i < plan.n; count += 1) {
      i += 1;
      text += eventOf(i, plan);
    }
    if (text !== "") socket.write(plan.isClosing ? text : chunkOf(text));
    if (i < plan.n) setTimeout(send, plan.gap);
    else if (plan.isClosing) socket.end();
    else socket.write("0\r\n\r\n");
  };
  setTimeout(send, plan.first);
}
