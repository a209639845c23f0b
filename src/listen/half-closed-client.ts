import type { FaultOwner } from "../base/guard.ts";
import { atTurnEnd } from "../base/turn-end.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { EarlyResponse } from "../http/client-response.ts";

/** The time, in ms, from the first probe to the second; each further probe comes after three times the last wait. */
const FIRST_WAIT_MS = 10;
const WAIT_FACTOR = 3;

/** How often silence is looked for within `limits.halfCloseTimeout`. */
const LOOKS = 4;

/** The timeout, in ms, before the request is routed. */
const DEFAULT_TIMEOUT_MS = 60_000;

/**
 * Calls back when a response whose head is prepared has begun, at the latest at the end of the event loop's turn; at once
 * for any other response. The end of a client that is noted between would be taken for one before its response: no probe
 * follows the head, so a client that has left would not be found.
 */
export function afterHead(response: EarlyResponse, owner: FaultOwner, callback: () => void): void {
  if (!response.isHeadSent || response.hasBegun) callback();
  else atTurnEnd({ turnEnded: callback, fault: (error) => owner.fault(error) });
}

/**
 * A client that has ended its half of the connection before its response began: it has left, or it has nothing more to
 * send and reads on, as `nc -N` and HTTP/1.0 tools do. The network shows no difference until the client gets a byte: the
 * kernel of a client that has left answers it with a reset.
 *
 * So it gets the beginning of its response at once, one character after the other, because a TCP proxy between may take
 * the first ones for its client. A client that has left is found in a round trip, and its backend request is cancelled.
 * Where no reset comes, `limits.halfCloseTimeout` of silence ends the response.
 */
export class HalfClosedClient {
  readonly #response: EarlyResponse;
  readonly #exchange: Exchange;
  #waitMs = FIRST_WAIT_MS;
  #probe: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;
  #seenBytes = 0;
  #silentMs = 0;

  constructor(response: EarlyResponse, exchange: Exchange) {
    this.#response = response;
    this.#exchange = exchange;
    response.onClose(() => this.#stop());
    this.#sendProbe();
    this.#lookLater();
  }

  #sendProbe(): void {
    if (this.#response.isClosed || this.#response.isHeadSent) return;
    this.#response.writeAhead();
    const next = this.#exchange.guarded(() => this.#sendProbe());
    this.#probe = setTimeout(next, this.#waitMs);
    this.#waitMs *= WAIT_FACTOR;
  }

  /** In ms; undefined for no limit. */
  get #timeout(): number | undefined {
    const { route } = this.#exchange;
    return route === undefined ? DEFAULT_TIMEOUT_MS : route.config.limits.halfCloseTimeout;
  }

  #lookLater(): void {
    if (this.#response.isClosed) return;
    const ms = (this.#timeout ?? DEFAULT_TIMEOUT_MS) / LOOKS;
    this.#look = setTimeout(
      this.#exchange.guarded(() => this.#onLook(ms)),
      ms,
    );
  }

  /** Bytes before the head are probes, and no sign of life. */
  #onLook(elapsedMs: number): void {
    const { hasBegun, takenBytes } = this.#response;
    const isSilent = !hasBegun || takenBytes === this.#seenBytes;
    this.#seenBytes = takenBytes;
    this.#silentMs = isSilent ? this.#silentMs + elapsedMs : 0;
    if (this.#silentMs < (this.#timeout ?? Number.POSITIVE_INFINITY)) {
      this.#lookLater();
      return;
    }
    this.#exchange.account.endsWith("client_gone");
    this.#response.breakOff();
  }

  #stop(): void {
    clearTimeout(this.#probe);
    clearTimeout(this.#look);
  }
}
