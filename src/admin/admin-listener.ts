import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { ListenAddress } from "../config/address-schema.ts";
import type { ServerConfig } from "../config/server-schema.ts";
import { addressName } from "../http/address-name.ts";
import type { Log } from "../observe/log.ts";
import { AdminAccess } from "./access.ts";
import type { AdminView } from "./admin-view.ts";
import { AdminConnections } from "./connections.ts";
import { AdminEvents } from "./events.ts";
import { type AdminFile, adminFiles, PAGE, SIGN_IN } from "./files.ts";
import { reply, replyJson } from "./reply.ts";
import { streamQuery, viewQuery } from "./streams.ts";

/** The maximum number of bytes of a request body: a token in a form. */
const MAX_BODY_BYTES = 4_096;

/** The text format of Prometheus. */
const METRICS = "text/plain; version=0.0.4; charset=utf-8";

const END_STREAM = /^\/api\/streams\/([^/]{1,400})\/end$/;

/** The error of an admin listener that cannot listen; the cause is the system's error. */
export class AdminListenError extends Error {}

/** Creates the admin listener of a configuration; undefined if it has none. */
export function createAdmin(
  { admin, adminToken }: Pick<ServerConfig, "admin" | "adminToken">,
  adminView: AdminView,
  log: Log,
): AdminServer | undefined {
  return admin && new AdminServer({ admin, adminToken }, adminView, log);
}

/** The admin listener: health, readiness, metrics, streams and the dashboard. */
export class AdminServer {
  readonly #address: ListenAddress;
  readonly #access: AdminAccess;
  readonly #adminView: AdminView;
  readonly #events: AdminEvents;
  readonly #log: Log;
  readonly #server: http.Server;
  readonly #connections: AdminConnections;
  #files: ReadonlyMap<string, AdminFile> = new Map();

  constructor(
    { admin, adminToken }: { readonly admin: ListenAddress; readonly adminToken: string | undefined },
    adminView: AdminView,
    log: Log,
  ) {
    this.#address = admin;
    this.#access = new AdminAccess(admin, adminToken);
    this.#adminView = adminView;
    this.#events = new AdminEvents(adminView, log);
    this.#log = log;
    this.#server = http.createServer({
      maxHeaderSize: 8 * 1024,
      headersTimeout: 10_000,
      requestTimeout: 10_000,
      connectionsCheckingInterval: 1_000,
      // For authorized connections; AdminConnections ends others earlier.
      keepAliveTimeout: 75_000,
      insecureHTTPParser: false,
    });
    this.#connections = new AdminConnections(this.#server, "port" in admin);
    this.#server.on("request", (request, response) => this.#onRequest(request, response));
    this.#server.on("upgrade", (_, socket) => socket.destroy());
    this.#server.on("connect", (_, socket) => socket.destroy());
  }

  /** Starts to listen; resolves with the address in the form of the configuration. Rejects with AdminListenError. */
  listen(): Promise<string> {
    this.#files = adminFiles();
    return new Promise((resolve, reject) => {
      const refuse = (cause: Error) => reject(new AdminListenError(cause.message, { cause }));
      this.#server.once("error", refuse);
      this.#server.listen(this.#address, () => {
        this.#server.removeListener("error", refuse);
        this.#server.on("error", (err) => this.#log.warn({ err }, "admin listener failed"));
        this.#adminView.start();
        resolve(addressName(this.#server.address()));
      });
    });
  }

  /** Ends its event streams and connections. */
  close(): Promise<void> {
    this.#adminView.stop();
    this.#events.close();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", () => response.destroy());
    this.#connections.begin(request, response);
    this.#answer(request, response).catch((err: unknown) => {
      // The client aborted its request: not logged, or clients could fill the log.
      if (request.socket.destroyed) return;
      this.#log.error({ err }, "admin request failed");
      if (response.headersSent) response.destroy();
      else replyJson(response, 500, { error: "internal error" });
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#access.isMeant(request)) return replyJson(response, 421, { error: "unknown Host" });
    const { method } = request;
    if (method !== "GET" && method !== "POST") {
      return replyJson(response, 405, { error: "method not allowed" }, { Allow: "GET, POST" });
    }
    const [path = "", query = ""] = (request.url ?? "").split("?", 2);
    if (method === "POST") return await this.#post(path, request, response);
    request.resume();
    const file = path.startsWith("/page/") ? this.#files.get(path) : undefined;
    if (file !== undefined) return reply(response, 200, file.body, file.type);
    if (path === "/healthz") return replyJson(response, 200, { status: "alive" });
    if (path === "/readyz") return this.#readiness(response);
    if (!this.#isAuthorized(request, response)) return this.#refuse(path, response);
    return await this.#get(path, new URLSearchParams(query), request, response);
  }

  async #get(
    path: string,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    switch (path) {
      case "/":
        return this.#page(PAGE, 200, response);
      case "/metrics":
        return reply(response, 200, await this.#adminView.metrics(), METRICS);
      case "/api/streams":
        return replyJson(response, 200, await this.#adminView.listStreams(streamQuery(query)));
      case "/api/events":
        if (!this.#access.isOwnPage(request)) return replyJson(response, 403, { error: "another origin" });
        if (this.#events.isFull) return replyJson(response, 503, { error: "too many dashboards" });
        this.#connections.openStream(request);
        return this.#events.open(response, viewQuery(query));
      default:
        return replyJson(response, 404, { error: "not found" });
    }
  }

  async #post(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#access.isOwnPage(request)) return replyJson(response, 403, { error: "another origin" });
    const body = await smallBody(request);
    if (body === undefined) {
      return replyJson(response, 413, { error: "body too large" }, { Connection: "close" });
    }
    if (path === "/sign-in") return this.#signIn(body, request, response);
    if (!this.#isAuthorized(request, response)) return this.#refuse(path, response);
    const id = END_STREAM.exec(path)?.[1];
    if (id === undefined) return replyJson(response, 404, { error: "not found" });
    const isEnded = await this.#adminView.endStreams(decoded(id));
    this.#log.info({ reqId: decoded(id), isEnded }, "stream ended by hand");
    if (isEnded) return replyJson(response, 200, { status: "ended" });
    return replyJson(response, 404, { error: "no such stream" });
  }

  #isAuthorized(request: IncomingMessage, response: ServerResponse): boolean {
    if (!this.#access.isAuthorized(request)) return false;
    this.#connections.authorize(request, response);
    return true;
  }

  #signIn(body: string, request: IncomingMessage, response: ServerResponse): void {
    const cookie = this.#access.signIn(new URLSearchParams(body).get("token") ?? "", request);
    if (cookie === undefined) this.#page(SIGN_IN, 401, response, "");
    else reply(response, 303, "", "text/plain", { Location: "/", "Set-Cookie": cookie });
  }

  #readiness(response: ServerResponse): void {
    const { isReady, obstacles } = this.#adminView.readiness;
    const status = !isReady ? "not ready" : obstacles.length > 0 ? "degraded" : "ready";
    replyJson(response, isReady ? 200 : 503, { status, reasons: obstacles });
  }

  #refuse(path: string, response: ServerResponse): void {
    if (path === "/") this.#page(SIGN_IN, 401, response);
    else replyJson(response, 401, { error: "token required" }, { "WWW-Authenticate": "Bearer" });
  }

  /** `hidden` is the attribute that hides the message about a wrong token. */
  #page(name: string, status: number, response: ServerResponse, hidden = "hidden"): void {
    const file = this.#files.get(name);
    if (file === undefined) replyJson(response, 404, { error: "not found" });
    else reply(response, status, file.body.toString().replace("{{hidden}}", hidden), file.type);
  }
}

/** Reads a body to its end; undefined if it is longer than `MAX_BODY_BYTES`. */
async function smallBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
