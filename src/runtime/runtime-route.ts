import { isDeepStrictEqual } from "node:util";
import { Answers } from "../answers/answers.ts";
import type { AnswersContext } from "../answers/open-answer.ts";
import type { Tickets } from "../auth/tickets.ts";
import { ProxyError } from "../base/errors.ts";
import type { RouteConfig } from "../config/route-schema.ts";
import { DEFAULT_ENVIRONMENT } from "../config/stages-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import type { Step } from "../exchange/step.ts";
import { fieldValues } from "../http/fields.ts";
import type { CounterStore, Places } from "../limits/counter-store.ts";
import { Hub } from "../shared/hub.ts";
import { createMock, type Mock } from "../stream/mock.ts";
import { Upstream } from "../upstream/upstream.ts";
import type { UpstreamOwner } from "../upstream/upstream-owner.ts";

/** The destination of a route's requests: backends, or a mock response. */
type Destination =
  | { readonly upstream: Upstream; readonly mock: undefined }
  | { readonly upstream: undefined; readonly mock: Mock };

/** A route in one of its environments, with its steps and its destination. */
export type RuntimeRoute = Route &
  Destination & {
    /** The steps in the order in which they run; the first reply ends them. */
    readonly steps: readonly Step[];
    /** The route's tickets; undefined if it issues none. */
    readonly tickets: Tickets | undefined;
    readonly streams: Places | undefined;
    /** The hub of its shared streams; undefined if each client has a backend stream of its own. */
    readonly hub: Hub | undefined;
    /** Its named answers; undefined if it keeps none. */
    readonly answers: Answers | undefined;
    /** The same route in its other environments, by name. */
    readonly otherEnvironments: ReadonlyMap<string, RuntimeRoute>;
  };

/** A route that sends its requests to backends. */
export type UpstreamRoute = Extract<RuntimeRoute, { readonly upstream: Upstream }>;

/** The services with which the destinations of a route are made. */
export interface RouteContext extends AnswersContext {
  readonly counters: CounterStore;
}

/**
 * Adds the destination of each environment to the policies of a route, which all environments share. An upstream that
 * is configured as in `previous` is taken from there, with its connections and its health.
 */
export function createRuntimeRoute(
  route: Route & Pick<RuntimeRoute, "steps" | "tickets" | "streams">,
  context: RouteContext,
  previous?: RuntimeRoute,
): RuntimeRoute {
  const { log, loops, counters } = context;
  const { name, stages } = route.config;
  const ownerIn = (environment: string) => ({ name, environment, log, loops, counters });
  const others = Object.entries(stages).map(([environment, own]): [string, RuntimeRoute] => {
    const config = { ...route.config, ...own };
    const before = previous?.otherEnvironments.get(environment);
    const destination = destinationOf(own, ownerIn(environment), before);
    const staged = withStreams({ ...route, config, environment, ...destination }, context, before);
    return [environment, { ...staged, otherEnvironments: new Map() }];
  });
  const own = destinationOf(route.config, ownerIn(route.environment), previous);
  return { ...withStreams({ ...route, ...own }, context, previous), otherEnvironments: new Map(others) };
}

/** Adds what is shared among the clients of a route. The answers of `previous` can be had from the new one too. */
function withStreams<T extends Route & Destination>(
  route: T,
  context: AnswersContext,
  previous: RuntimeRoute | undefined,
): T & Pick<RuntimeRoute, "hub" | "answers"> {
  const { shared, resume } = route.config;
  const answers = resume && route.upstream && new Answers(route, resume, context, previous?.answers?.table);
  return { ...route, hub: shared && new Hub(route, context), answers };
}

/** Returns the route in the environment that X-Stage names; throws `no_route` (404) if it has no such environment. */
export function chooseEnvironment(route: RuntimeRoute, { request }: Exchange): RuntimeRoute {
  const [name, ...more] = fieldValues(request.rawHeaders, "x-stage");
  if (more.length > 0) throw new ProxyError("bad_request", "more than one X-Stage");
  if (name === undefined || name === DEFAULT_ENVIRONMENT) return route;
  const chosen = route.otherEnvironments.get(name);
  if (chosen === undefined) throw new ProxyError("no_route", "the route has no such environment");
  return chosen;
}

/** Returns the hubs of a route in all its environments. */
export function hubsOf({ hub, otherEnvironments }: RuntimeRoute): Hub[] {
  return [...(hub === undefined ? [] : [hub]), ...[...otherEnvironments.values()].flatMap(hubsOf)];
}

/** Returns the named answers of a route in all its environments. */
export function answersOf({ answers, otherEnvironments }: RuntimeRoute): Answers[] {
  return [...(answers === undefined ? [] : [answers]), ...[...otherEnvironments.values()].flatMap(answersOf)];
}

/** Returns the upstreams of a route in all its environments. */
export function upstreamsOf({ upstream, otherEnvironments }: RuntimeRoute): Upstream[] {
  return [
    ...(upstream === undefined ? [] : [upstream]),
    ...[...otherEnvironments.values()].flatMap(upstreamsOf),
  ];
}

function destinationOf(
  { upstream, mock }: Pick<RouteConfig, "upstream" | "mock">,
  owner: UpstreamOwner,
  previous: RuntimeRoute | undefined,
): Destination {
  if (upstream !== undefined) {
    const isKept = isDeepStrictEqual(previous?.config.upstream, upstream);
    const kept = isKept ? previous?.upstream : undefined;
    return { upstream: kept ?? new Upstream(upstream, owner), mock: undefined };
  }
  if (mock !== undefined) return { upstream: undefined, mock: createMock(mock) };
  throw new TypeError("a validated route has an upstream or a mock");
}
