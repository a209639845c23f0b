import { pino } from "pino";
import { routeSchema } from "../../src/config/route-schema.ts";
import { Exchange } from "../../src/exchange/exchange.ts";
import { createTrust } from "../../src/http/address.ts";
import type { Answered } from "../../src/upstream/redirects.ts";

const log = pino({ level: "silent" });

/** A request whose response names the backend; a GET for `/here` without other settings. */
export interface RedirectCase {
  /** The backend's URL, or the whole `upstream`. */
  readonly upstream?: unknown;
  readonly rewrite?: Readonly<Record<string, string>>;
  readonly headers?: unknown;
  /** Fields of the client's request. */
  readonly fields?: readonly string[];
  readonly host?: string;
  readonly tls?: boolean;
  readonly isTrusted?: boolean;
  readonly method?: string;
  readonly path?: string;
  readonly status?: number;
}

/** Returns a response of the first backend of `upstream` and the request that it answers. */
export function answeredBy(given: RedirectCase): Answered {
  const { upstream = "http://10.0.0.5:3000", rewrite = {}, headers = {} } = given;
  const {
    fields = [],
    host = "app.example",
    tls = false,
    method = "GET",
    path = "/here",
    status = 302,
  } = given;
  const route = routeSchema.parse({ match: { path: "/*" }, upstream, rewrite, headers });
  const rawHeaders = ["Host", host, ...fields];
  const trust = createTrust(given.isTrusted === true ? ["192.0.2.1"] : []);
  const client = trust.resolveClient({ peer: "192.0.2.1", tls, rawHeaders, host });
  const request = { method, url: path, httpVersion: "1.1", rawHeaders, body: undefined };
  const exchange = new Exchange(request, client, { log, onSettled() {}, onFault() {} });
  exchange.foundHost(host);
  exchange.foundTarget({ path, query: "" });
  const backend = route.upstream?.backends[0]?.url;
  if (backend === undefined) throw new TypeError("the route has a backend");
  const config = { ...route, name: "main" };
  return {
    exchange,
    backend,
    status,
    route: { config, environment: "RELEASE", cors: undefined, auth: undefined },
  };
}
