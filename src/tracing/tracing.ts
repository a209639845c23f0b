import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { ROOT_CONTEXT, SpanKind, type Tracer } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import { ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } from "@opentelemetry/sdk-trace";
import {
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
} from "@opentelemetry/semantic-conventions";
import type { TracingConfig } from "../config/tracing-schema.ts";
import type { ExchangeTrace } from "../exchange/exchange-trace.ts";
import type { Client } from "../http/address.ts";
import type { ClientRequest } from "../http/client-request.ts";
import { methodName, requestAttributes } from "./attributes.ts";
import { readContext } from "./context.ts";
import { RequestSpan } from "./request-span.ts";
import { type QueueListener, SpanQueue } from "./span-queue.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

/** Traces requests as one configuration says. Loaded only with `tracing`, because it loads OpenTelemetry's packages. */
export class Tracing {
  readonly config: TracingConfig;
  readonly #tracer: Tracer;

  constructor(config: TracingConfig, listener: QueueListener) {
    this.config = config;
    const { otlp, headers, timeout, sample, service } = config;
    const exporter = new OTLPTraceExporter({ url: otlp, headers, timeoutMillis: timeout });
    const resource = resourceFromAttributes({
      [ATTR_SERVICE_NAME]: service,
      [ATTR_SERVICE_VERSION]: version,
      // Each worker is an instance.
      [ATTR_SERVICE_INSTANCE_ID]: randomUUID(),
    });
    const provider = new TracerProvider({
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sample) }),
      resource: defaultResource().merge(resource),
      spanProcessors: [new SpanQueue(config, exporter, listener)],
    });
    this.#tracer = provider.getTracer("sluice", version);
  }

  /**
   * Begins the span of a request. Its parent is the context that a trusted proxy sent; from any other peer a new trace
   * begins, because a client could add its requests to a trace of its choice, and have each one recorded.
   */
  begin(request: ClientRequest, client: Client, peer: string | undefined): ExchangeTrace {
    const context = client.isTrusted ? readContext(request.rawHeaders) : ROOT_CONTEXT;
    const span = this.#tracer.startSpan(methodName(request.method), { kind: SpanKind.SERVER }, context);
    if (span.isRecording()) span.setAttributes(requestAttributes(request, client, peer));
    return new RequestSpan(this.#tracer, span, context);
  }
}
