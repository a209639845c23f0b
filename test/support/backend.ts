import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { afterTest } from "./after-test.ts";
import { eventually } from "./eventually.ts";
import { type RequestHead, RequestReader } from "./request-reader.ts";

const toBytes = (data: string | Buffer): Buffer =>
  typeof data === "string" ? Buffer.from(data, "utf8") : data;

/** Returns one chunk of HTTP/1.1's chunked coding. */
export const chunkOf = (data: string | Buffer): Buffer => {
  const bytes = toBytes(data);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
};

const fieldLines = (fields: Readonly<Record<string, string | readonly string[]>>): string =>
  Object.entries(fields)
    .flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`))
    .join("");

/** One connection from the gateway, seen from the backend's end. */
export class BackendConnection {
  readonly socket: Socket;
  readonly requests: BackendRequest[] = [];
  /** How the gateway closed it; undefined while it is open, or if the test closed it. */
  closedBy: "fin" | "reset" | undefined;
  /** Resolves with `performance.now()` when the connection is closed. */
  readonly closed: Promise<number>;
  #received: Buffer[] = [];

  constructor(socket: Socket, onRequest: (request: BackendRequest) => void) {
    this.socket = socket;
    const reader = new RequestReader({
      head: (head) => {
        const request = new BackendRequest(head, this);
        this.requests.push(request);
        onRequest(request);
      },
      body: (bytes) => this.requests.at(-1)?.takeBody(bytes),
      end: (trailers) => this.requests.at(-1)?.takeEnd(trailers),
    });
    socket.setNoDelay(true);
    socket.on("data", (bytes) => {
      this.#received.push(bytes);
      reader.feed(bytes);
    });
    socket.on("end", () => {
      this.closedBy ??= "fin";
      socket.destroy();
    });
    // A reset by the gateway is a possible outcome of a test, not an error of this fixture.
    socket.on("error", () => {
      this.closedBy ??= "reset";
    });
    this.closed = new Promise((resolve) => socket.once("close", () => resolve(performance.now())));
  }

  /** All bytes received on this connection. */
  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  get isOpen(): boolean {
    return !this.socket.destroyed;
  }
}

/** One request at the backend, with all possible responses to it. */
export class BackendRequest {
  readonly head: RequestHead;
  readonly connection: BackendConnection;
  trailers: readonly (readonly [string, string])[] = [];
  isComplete = false;
  #body: Buffer[] = [];

  constructor(head: RequestHead, connection: BackendConnection) {
    this.head = head;
    this.connection = connection;
  }

  get method(): string {
    return this.head.method;
  }

  get target(): string {
    return this.head.target;
  }

  /** The body so far, without its framing. */
  get body(): Buffer {
    return Buffer.concat(this.#body);
  }

  /** Returns the values of a field, one per field line. */
  fieldLines(name: string): string[] {
    return this.head.fields.filter(([have]) => have.toLowerCase() === name.toLowerCase()).map(([, v]) => v);
  }

  field(name: string): string | undefined {
    return this.fieldLines(name)[0];
  }

  /** Waits for the complete body. */
  async wholeBody(): Promise<Buffer> {
    await eventually(() => this.isComplete, "the whole request body");
    return this.body;
  }

  /** Writes exactly these bytes. */
  send(bytes: string | Buffer): void {
    this.connection.socket.write(toBytes(bytes));
  }

  /** Sends a complete response with Content-Length. */
  respond(
    status = 200,
    fields: Record<string, string | readonly string[]> = {},
    body: string | Buffer = "",
  ): void {
    const bytes = toBytes(body);
    const head = `HTTP/1.1 ${status} Scripted\r\n${fieldLines(fields)}Content-Length: ${bytes.length}\r\n\r\n`;
    this.send(Buffer.concat([Buffer.from(head, "latin1"), bytes]));
  }

  /** Sends the head of a chunked event stream; `emit` sends its events. */
  openStream(fields: Record<string, string | readonly string[]> = {}, status = 200): void {
    const all = { "Content-Type": "text/event-stream", ...fields };
    this.send(`HTTP/1.1 ${status} OK\r\n${fieldLines(all)}Transfer-Encoding: chunked\r\n\r\n`);
  }

  /** Sends one chunk of a chunked response. */
  emit(data: string | Buffer): void {
    this.send(chunkOf(data));
  }

  /** Sends the last chunk: a clean end of a chunked response. */
  endStream(trailers: Record<string, string> = {}): void {
    this.send(`0\r\n${fieldLines(trailers)}\r\n`);
  }

  /**
   * Resets the connection. First wait until the peer has read the earlier bytes: libuv reports data and a reset that
   * arrive together as data and a plain end.
   */
  reset(): void {
    this.connection.socket.resetAndDestroy();
  }

  /** Ends the backend's half; the request may continue. */
  halfClose(): void {
    this.connection.socket.end();
  }

  /** Stops reading the gateway's bytes. */
  stall(): void {
    this.connection.socket.pause();
  }

  resume(): void {
    this.connection.socket.resume();
  }

  takeBody(bytes: Buffer): void {
    this.#body.push(bytes);
  }

  takeEnd(trailers: readonly (readonly [string, string])[]): void {
    this.trailers = trailers;
    this.isComplete = true;
  }
}

/** Answers each request; without a script the test answers each request itself. */
export type Script = (request: BackendRequest) => void;

/** A TCP server that acts as the backend, byte by byte. */
export class Backend {
  readonly connections: BackendConnection[] = [];
  readonly requests: BackendRequest[] = [];
  readonly port: number;
  readonly #server: Server;
  #taken = 0;

  constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get openConnections(): number {
    return this.connections.filter((connection) => connection.isOpen).length;
  }

  /** The number of bytes received on all connections. */
  get bytesReceived(): number {
    return this.connections.reduce((sum, connection) => sum + connection.received.length, 0);
  }

  /** Waits for the next request that no caller has taken. */
  async nextRequest(): Promise<BackendRequest> {
    const index = this.#taken++;
    return eventually(
      () => this.requests[index],
      `request ${index + 1} at the backend`,
    ) as Promise<BackendRequest>;
  }

  async close(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Starts a backend on a free port of 127.0.0.1; it closes when the test ends. */
export async function startBackend(
  script?: Script,
  {
    onConnection,
    pauseOnConnect = false,
    port = 0,
  }: { onConnection?: (socket: Socket) => void; pauseOnConnect?: boolean; port?: number } = {},
): Promise<Backend> {
  const server = createServer({ pauseOnConnect });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const backend = new Backend(server);
  server.on("connection", (socket) => {
    const connection = new BackendConnection(socket, (request) => {
      backend.requests.push(request);
      script?.(request);
    });
    backend.connections.push(connection);
    onConnection?.(socket);
  });
  afterTest(() => backend.close());
  return backend;
}

/** Returns a port on which nothing listens. */
export async function refusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
