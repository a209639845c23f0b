import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { Server as SocketServer } from "socket.io";
import { afterTest } from "./after-test.ts";

/** A backend that keeps sessions in its own memory: a request that reaches another backend fails. */
export interface SessionBackend {
  readonly url: string;
  /** The Cookie fields that it got. */
  readonly cookies: ReadonlySet<string>;
  /** The number of its sessions that have begun. */
  begun(): number;
  close(): Promise<void>;
}

async function listen(listener: RequestListener | undefined) {
  const cookies = new Set<string>();
  const http = createServer(listener);
  http.prependListener("request", ({ headers }: IncomingMessage) => {
    if (headers.cookie !== undefined) cookies.add(headers.cookie);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const close = async () => {
    http.closeAllConnections();
    if (http.listening) await new Promise((resolve) => http.close(resolve));
  };
  afterTest(close);
  return { http, cookies, close, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

/** Starts a socket.io server that acknowledges `echo` with its own number. */
export async function startSocketBackend(number: number): Promise<SessionBackend> {
  const { http, ...backend } = await listen(undefined);
  const io = new SocketServer(http, { pingInterval: 500, pingTimeout: 20_000 });
  let count = 0;
  io.on("connection", (socket) => {
    count++;
    socket.on("echo", (text: string, acknowledge: (reply: string) => void) =>
      acknowledge(`${text}@${number}`),
    );
  });
  const close = async () => {
    io.disconnectSockets(true);
    await backend.close();
  };
  return { ...backend, begun: () => count, close };
}

/** Starts an MCP server with any number of sessions; its tool `where` returns its number. */
export async function startMcpBackend(number: number): Promise<SessionBackend> {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const id = request.headers["mcp-session-id"]?.toString();
    const known = id === undefined ? await beginSession(number, transports) : transports.get(id);
    // As the specification of MCP demands for an unknown session.
    if (known === undefined) response.writeHead(404).end();
    else await known.handleRequest(request, response);
  };
  const { http: _, ...backend } = await listen((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  return { ...backend, begun: () => transports.size };
}

async function beginSession(number: number, transports: Map<string, StreamableHTTPServerTransport>) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => {
      transports.set(id, transport);
    },
  });
  const server = new McpServer({ name: "pooled", version: "1.0.0" });
  server.registerTool("where", { description: "Returns the number of the server." }, () => ({
    content: [{ type: "text", text: String(number) }],
  }));
  // The SDK's Transport type has optional members without undefined, but its class declares undefined.
  await server.connect(transport as Parameters<typeof server.connect>[0]);
  return transport;
}
