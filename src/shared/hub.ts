import { ProxyError } from "../base/errors.ts";
import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ChannelTrace, ExchangeTrace } from "../exchange/exchange-trace.ts";
import type { LiveStream } from "../exchange/live-stream.ts";
import type { ClientResponse } from "../http/client-response.ts";
import { retrySoon } from "../http/retry-after.ts";
import { Channel } from "./channel.ts";
import { dialChannel } from "./channel-dial.ts";
import { channelKey, keyName, streamDefinition } from "./channel-key.ts";
import { History } from "./history.ts";
import type { HubContext } from "./hub-context.ts";
import { Poll } from "./poll.ts";
import { type SharedRoute, sharedOf } from "./shared-route.ts";
import type { HistoryBounds } from "./store.ts";
import { Subscriber } from "./subscriber.ts";
import { answerHead } from "./subscriber-head.ts";
import { readSubscription, type Subscription } from "./subscription.ts";

/** The channels of one route in one environment: equal requests share a channel. */
export class Hub {
  readonly #route: SharedRoute;
  readonly #context: HubContext;
  /** By key, least recently joined first. */
  readonly #channels = new Map<string, Channel>();
  /** The key of the last one, which is not moved again: V8 makes a new table every few times. */
  #newest: string | undefined;
  /** The spans of the channels that were opened with `tracing`. */
  readonly #traces = new WeakMap<Channel, ChannelTrace>();
  #isClosed = false;

  constructor(route: SharedRoute, context: HubContext) {
    this.#route = route;
    this.#context = context;
  }

  /**
   * Answers a GET or HEAD with the stream that it asks for, and opens that if necessary. The client of a GET is in `open`
   * until its response closes.
   */
  subscribe(exchange: Exchange, response: ClientResponse, open: Set<LiveStream>): void {
    if (this.#isClosed) throw new ProxyError("closing", "the route was removed");
    const subscription = readSubscription(exchange, this.#route);
    if (exchange.request.method === "HEAD") {
      return void answerHead(exchange, response, this.#route, subscription);
    }
    const channel = this.#channelFor(exchange);
    if (exchange.trace !== undefined) this.#link(exchange.trace, channel);
    channel.join(createClient(exchange, response, channel, { ...subscription, open }));
  }

  /** Accepts no new clients; each channel closes after its last client has left. */
  retire(): void {
    this.#isClosed = true;
    for (const channel of [...this.#channels.values()]) channel.retire();
  }

  /** Ends every stream at an event boundary, and closes every channel. */
  close(reason: EndReason = "drained"): void {
    this.#isClosed = true;
    for (const channel of [...this.#channels.values()]) channel.close(reason);
  }

  #channelFor(exchange: Exchange): Channel {
    const key = channelKey(exchange, this.#route);
    const known = this.#channels.get(key);
    if (known !== undefined) {
      if (key !== this.#newest) this.#channels.delete(key);
      this.#append(key, known);
      return known;
    }
    this.#makeRoom();
    if (this.#route.upstream !== undefined) this.#context.capacity.checkBackendFile();
    return this.#open(key, exchange);
  }

  #open(key: string, exchange: Exchange): Channel {
    const { store, budget, capacity, log, onFault } = this.#context;
    const route = this.#route;
    const { events, bytes, age } = sharedOf(route).history;
    const bounds: HistoryBounds = { events, bytes, ageMs: age };
    const name = keyName(key);
    const trace = exchange.trace?.forChannel(route.config.name);
    const channel: Channel = new Channel({
      name,
      route,
      log,
      onFault,
      files: capacity.backendFiles,
      history: new History(bounds, budget),
      store: store.open({
        key: name,
        route: route.config.name,
        definition: streamDefinition(route.config),
        bounds,
      }),
      dial: dialChannel(exchange, route, { ...this.#context, trace }),
      onClosed: () => {
        if (this.#channels.get(key) === channel) this.#channels.delete(key);
      },
    });
    this.#append(key, channel);
    if (trace !== undefined) this.#traces.set(channel, trace);
    return channel;
  }

  #append(key: string, channel: Channel): void {
    this.#channels.set(key, channel);
    this.#newest = key;
  }

  #link(client: ExchangeTrace, channel: Channel): void {
    const trace = this.#traces.get(channel);
    if (trace !== undefined) client.reads(trace);
  }

  /** At the limit of `shared.channels`, closes the least recently joined channel without clients, or refuses the client. */
  #makeRoom(): void {
    const { channels } = sharedOf(this.#route);
    if (this.#channels.size < channels) return;
    for (const channel of this.#channels.values()) {
      if (channel.size > 0) continue;
      channel.close();
      return;
    }
    throw new ProxyError("too_many_channels", `${channels} are open`, { fields: [retrySoon()] });
  }
}

function createClient(
  exchange: Exchange,
  response: ClientResponse,
  channel: Channel,
  { lastEventId, poll, open }: Subscription & { readonly open: Set<LiveStream> },
): Subscriber | Poll {
  if (poll === undefined) return new Subscriber(exchange, response, channel, { lastEventId, open });
  return new Poll(exchange, response, channel, { lastEventId, waitMs: poll.waitMs, open });
}
