import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from "node:http2";
import { performance } from "node:perf_hooks";
import { afterTest } from "./after-test.ts";
import { certificateFiles } from "./certificate-files.ts";
import { eventually, PATIENCE_MS } from "./eventually.ts";
import { type GatewayFixture, startGatewayTo } from "./gateway.ts";

/** One response on an HTTP/2 connection. */
export class Http2Exchange {
  readonly stream: ClientHttp2Stream;
  readonly arrivals: { readonly at: number; readonly bytes: Buffer }[] = [];
  headers: (IncomingHttpHeaders & { readonly ":status"?: number | undefined }) | undefined;
  trailers: IncomingHttpHeaders | undefined;
  /** Whether END_STREAM arrived. */
  hasEnded = false;
  /** The interim statuses. */
  readonly interim: number[] = [];
  isClosed = false;

  constructor(stream: ClientHttp2Stream) {
    this.stream = stream;
    stream.on("response", (headers) => {
      this.headers = headers;
    });
    stream.on("headers", (headers) => this.interim.push(Number(headers[":status"])));
    stream.on("trailers", (trailers) => {
      this.trailers = trailers;
    });
    stream.on("data", (bytes: Buffer) => this.arrivals.push({ at: performance.now(), bytes }));
    stream.on("end", () => {
      // Node emits this for a reset too; only then there is a code.
      if (stream.rstCode === 0 && !stream.aborted) this.hasEnded = true;
    });
    stream.on("error", () => {});
    stream.on("close", () => {
      this.isClosed = true;
    });
  }

  get body(): Buffer {
    return Buffer.concat(this.arrivals.map(({ bytes }) => bytes));
  }

  get text(): string {
    return this.body.toString("utf8");
  }

  get status(): number | undefined {
    return this.headers?.[":status"];
  }

  /** Waits for the head. */
  async opened(): Promise<IncomingHttpHeaders> {
    return (await eventually(() => this.headers, "the head of an HTTP/2 response")) as IncomingHttpHeaders;
  }

  /** Waits until the body contains `text`. */
  async received(text: string): Promise<void> {
    await eventually(() => this.text.includes(text), `${JSON.stringify(text)} on an HTTP/2 stream`);
  }

  /** Waits for the end, and returns the code of the reset; 0 for END_STREAM. */
  async closed(timeoutMs = PATIENCE_MS): Promise<number> {
    await eventually(() => this.isClosed, "the end of an HTTP/2 stream", { timeoutMs });
    return this.stream.rstCode ?? -1;
  }
}

/** One HTTP/2 connection. */
export class Http2Client {
  readonly session: ClientHttp2Session;
  goawayCode: number | undefined;
  isClosed = false;

  constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on("error", () => {});
    session.on("goaway", (code) => {
      this.goawayCode = code;
    });
    session.on("close", () => {
      this.isClosed = true;
    });
  }

  /** Sends a request without a body, or with a body that the test writes to the stream. */
  request(
    headers: OutgoingHttpHeaders = {},
    { endStream = true }: { readonly endStream?: boolean } = {},
  ): Http2Exchange {
    return new Http2Exchange(this.session.request({ ":path": "/", ...headers }, { endStream }));
  }

  async closed(timeoutMs = PATIENCE_MS): Promise<void> {
    await eventually(() => this.isClosed, "the end of an HTTP/2 connection", { timeoutMs });
  }
}

/** Connects to a local port over TLS; closes the connection when the test ends. */
export async function openHttp2(
  port: number,
  options: ClientSessionOptions & SecureClientSessionOptions = {},
): Promise<Http2Client> {
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false, ...options });
  const client = new Http2Client(session);
  afterTest(() => session.destroy());
  let isReady = false;
  session.once("remoteSettings", () => {
    isReady = true;
  });
  await eventually(() => isReady, "an HTTP/2 connection");
  return client;
}

/** Starts a gateway with TLS, HTTP/2 and one route for all paths; `route` completes it. */
export async function startSecureGatewayTo(
  upstream: string,
  route: Readonly<Record<string, unknown>> = {},
  server: Readonly<Record<string, unknown>> = {},
  listen: Readonly<Record<string, unknown>> = {},
): Promise<GatewayFixture> {
  const tls = await certificateFiles();
  return startGatewayTo(upstream, route, { listen: { address: "127.0.0.1:0", tls, ...listen }, ...server });
}
