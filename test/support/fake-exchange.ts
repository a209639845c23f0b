import { pino } from "pino";
import { routeSchema } from "../../src/config/route-schema.ts";
import { Exchange } from "../../src/exchange/exchange.ts";
import type { SharedRoute } from "../../src/shared/shared-route.ts";
import { createMock } from "../../src/stream/mock.ts";

const log = pino({ level: "silent" });

/** Creates a GET without a socket. */
export function fakeExchange(fields: readonly string[] = [], query = ""): Exchange {
  const request = {
    method: "GET",
    url: `/news${query}`,
    httpVersion: "1.1",
    rawHeaders: ["Host", "h", ...fields],
    body: undefined,
  };
  const client = {
    address: "192.0.2.1",
    proto: "http" as const,
    host: "h",
    hostSource: "field" as const,
    forwardedPort: undefined,
    forwardedPrefix: "",
    forwardedFor: "192.0.2.1",
    requestId: undefined,
    isTrusted: false,
  };
  const exchange = new Exchange(request, client, { log, onSettled() {}, onFault() {} });
  exchange.foundHost("h");
  exchange.foundTarget({ path: "/news", query });
  return exchange;
}

/** Creates a shared route without a backend. */
export function fakeSharedRoute(
  shared: Readonly<Record<string, unknown>> = {},
  rest: Readonly<Record<string, unknown>> = {},
): SharedRoute {
  const mock = { events: [{ data: "x", after: "1h" }] };
  const config = { ...routeSchema.parse({ match: { path: "/*" }, mock, shared, ...rest }), name: "main" };
  if (config.mock === undefined) throw new TypeError("it has a mock");
  return {
    config,
    environment: "RELEASE",
    cors: undefined,
    auth: undefined,
    upstream: undefined,
    mock: createMock(config.mock),
  };
}
