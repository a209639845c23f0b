import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import { afterTest } from "./after-test.ts";
import { eventually } from "./eventually.ts";

/**
 * A receiver of OTLP over HTTP, by OpenTelemetry's own definitions: `otlp/` has those of release 1.9.0, as published.
 * It refuses what the protocol does not allow, as a collector does. Debian 12 has no collector, and npm has none either.
 */
const DEFINITIONS = fileURLToPath(new URL("otlp", import.meta.url));

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => join(DEFINITIONS, target);
root.loadSync("opentelemetry/proto/collector/trace/v1/trace_service.proto");
const requestType = root.lookupType("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest");
const responseType = root.lookupType("opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse");

type Attributes = Readonly<Record<string, unknown>>;

/** A span as the receiver got it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly events: readonly string[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly isError: boolean;
  readonly resource: Attributes;
}

interface Value {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly Value[];
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: { readonly code?: string };
}

interface WireRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Value[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

const hex = (base64 = ""): string => Buffer.from(base64, "base64").toString("hex");
const ms = (nanos: string): number => Number(BigInt(nanos) / 1_000_000n);
const attributesOf = (values: readonly Value[] = []): Attributes =>
  Object.fromEntries(values.map(({ key, value }) => [key, Object.values(value)[0]]));

function received(span: WireSpan, resource: Attributes): ReceivedSpan {
  const own = {
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId),
    startMs: ms(span.startTimeUnixNano),
    endMs: ms(span.endTimeUnixNano),
  };
  if (own.traceId.length !== 32 || own.spanId.length !== 16 || own.endMs < own.startMs)
    throw new TypeError("not a span");
  return {
    ...own,
    traceState: span.traceState ?? "",
    name: span.name,
    kind: span.kind.replace("SPAN_KIND_", "").toLowerCase(),
    attributes: attributesOf(span.attributes),
    events: (span.events ?? []).map(({ name }) => name),
    links: (span.links ?? []).map((link) => ({ traceId: hex(link.traceId), spanId: hex(link.spanId) })),
    isError: span.status?.code === "STATUS_CODE_ERROR",
    resource,
  };
}

function spansIn(body: Buffer): ReceivedSpan[] {
  const message = requestType.decode(body);
  const { resourceSpans } = requestType.toObject(message, {
    longs: String,
    enums: String,
    bytes: String,
  }) as WireRequest;
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => received(span, attributesOf(resource.attributes)))),
  );
}

export class OtlpReceiver {
  readonly url: string;
  readonly spans: ReceivedSpan[] = [];
  readonly requests: { readonly path: string; readonly headers: IncomingMessage["headers"] }[] = [];
  /** The status of its responses; undefined: it does not respond. */
  status: number | undefined = 200;
  /** What it could not read. */
  readonly faults: unknown[] = [];

  constructor(url: string) {
    this.url = url;
  }

  /** Waits until `count` spans of a trace have come, that of the client's request among them; it is the first. */
  async trace(traceId: unknown, count: number): Promise<readonly ReceivedSpan[]> {
    const found = () => this.spans.filter((span) => span.traceId === traceId);
    const isWhole = () => found().length >= count && found().some(({ kind }) => kind === "server");
    await eventually(isWhole, `${count} spans of ${String(traceId)}`);
    return found().toSorted((a, b) => Number(b.kind === "server") - Number(a.kind === "server"));
  }

  async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat((await request.toArray()) as Buffer[]);
    this.requests.push({ path: request.url ?? "", headers: request.headers });
    const { status } = this;
    if (status === undefined) return;
    if (status !== 200) return void response.writeHead(status).end();
    try {
      if (request.headers["content-type"] !== "application/x-protobuf") throw new TypeError("another type");
      this.spans.push(...spansIn(body));
      response.writeHead(200, { "Content-Type": "application/x-protobuf" });
      response.end(responseType.encode({}).finish());
    } catch (error) {
      this.faults.push(error);
      response.writeHead(400).end();
    }
  }
}

/** Starts a receiver on a free port, or on `port`; it closes when the test ends. */
export async function startOtlpReceiver(port = 0): Promise<OtlpReceiver> {
  const server = createServer((request, response) => void receiver.take(request, response));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const receiver = new OtlpReceiver(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  afterTest(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return receiver;
}
