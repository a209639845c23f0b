import type { EndReason } from "../base/outcome.ts";
import type { Client } from "../http/address.ts";
import type { ClientRequest } from "../http/client-request.ts";
import { fieldValue } from "../http/fields.ts";
import { Exchange, type Observer } from "./exchange.ts";
import type { AttemptTrace, ExchangeTrace, TraceIds } from "./exchange-trace.ts";
import type { RequestOrigin } from "./received-request.ts";

/** Adds the ids in place: a copy of the fields would be made for each line. */
function withIds(facts: Record<string, unknown>, { traceId, spanId }: TraceIds): Record<string, unknown> {
  facts["traceId"] = traceId;
  facts["spanId"] = spanId;
  return facts;
}

/** The exchange of a client's request while `tracing` is configured. Without it, no exchange has a field for a trace. */
export class TracedExchange extends Exchange {
  readonly #trace: ExchangeTrace;

  constructor(
    request: ClientRequest,
    client: Client,
    observer: Observer,
    { origin, trace }: { readonly origin: RequestOrigin; readonly trace: ExchangeTrace },
  ) {
    super(request, client, observer, origin);
    this.#trace = trace;
  }

  override get trace(): ExchangeTrace {
    return this.#trace;
  }

  override get attemptTrace(): AttemptTrace {
    return this.#trace;
  }

  override facts(endReason?: EndReason, err?: unknown): Record<string, unknown> {
    return withIds(super.facts(endReason, err), this.#trace.ids);
  }

  override streamOpened(): void {
    const lastEventId = this.lastEventId ?? fieldValue(this.request.rawHeaders, "last-event-id") ?? "";
    this.#trace.streamOpened(lastEventId !== "");
    super.streamOpened();
  }
}

/** The exchange of a request that belongs to no single client, and is traced. */
export class TracedDetachedExchange extends Exchange {
  readonly #trace: AttemptTrace;

  constructor(
    request: ClientRequest,
    client: Client,
    observer: Observer,
    { origin, trace }: { readonly origin: RequestOrigin | undefined; readonly trace: AttemptTrace },
  ) {
    super(request, client, observer, origin);
    this.#trace = trace;
  }

  override get attemptTrace(): AttemptTrace {
    return this.#trace;
  }
}
