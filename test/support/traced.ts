import { type GatewayFixture, type LogLine, startGateway } from "./gateway.ts";
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from "./otlp-receiver.ts";

type Part = Readonly<Record<string, unknown>>;

/** A gateway with a receiver for its spans. */
export interface Traced {
  readonly receiver: OtlpReceiver;
  readonly gateway: GatewayFixture;
  /** Waits for the log line of the `index`th request that ended, and for `count` spans of its trace. */
  spansOf(
    index: number,
    count: number,
  ): Promise<{
    readonly line: LogLine;
    readonly server: ReceivedSpan;
    readonly others: readonly ReceivedSpan[];
  }>;
}

/** Starts a gateway that traces all requests, and its receiver. */
export async function startTraced(routes: Part, server: Part = {}, tracing: Part = {}): Promise<Traced> {
  const receiver = await startOtlpReceiver();
  const settings = { tracing: { otlp: receiver.url, interval: "10ms", ...tracing }, ...server };
  const gateway = await startGateway({ routes, server: settings });
  return {
    receiver,
    gateway,
    async spansOf(index, count) {
      const line = await gateway.requestLine(index);
      const [first, ...others] = await receiver.trace(line["traceId"], count);
      if (first === undefined) throw new TypeError("the trace is empty");
      return { line, server: first, others };
    },
  };
}
