import { setInLocation } from "../edits.ts";
import { locationRule, type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";

/** Returns the directive that limits the rate of a response; undefined without any. */
function rateOf(view: View) {
  const names = ["limit_rate", `${view.family}_limit_rate`];
  const settings = names.map((name) => view.setting(name));
  return settings.find(({ directive, value }) => directive !== undefined && value !== "0");
}

const rateLimitedWhileBuffered = locationRule(
  "rate-limited-while-buffered",
  "D26",
  "A rate limit delays the head and the events.",
  (view, lint) => {
    const rate = rateOf(view);
    const isWebSocket = view.carries === "websocket" && view.family === "proxy";
    if (rate?.directive === undefined || view.carries === "possible") return;
    if (!isWebSocket && !view.isBuffered) return;
    lint.report(rateLimitedWhileBuffered, {
      severity: "warning",
      at: rate.directive,
      location: view.location,
      message: `${rate.name} delays ${isWebSocket ? "the response to the handshake" : "the head and the events"} by seconds`,
      cause: view.explain(rate),
      remedy: `set ${rate.name} 0; here`,
      fix: setInLocation(view, rate.name, "0"),
    });
  },
);

const rateLimitVoid = streamRule(
  "rate-limit-void",
  "D25",
  "A rate limit has no effect on responses that are not buffered.",
  (view, lint) => {
    const rate = rateOf(view);
    if (rate?.directive === undefined || view.isBuffered || !view.isStream) return;
    if (view.own("buffering").isUncertain) return;
    lint.reportStream(rateLimitVoid, view, {
      severity: "info",
      at: rate.directive,
      message: `${rate.name} has no effect on a response that is not buffered, such as this stream`,
      cause: view.explain(rate),
      remedy: "limit streams and requests instead of bytes: sluice's limits",
    });
  },
);

const limitReqDelays = streamRule(
  "limit-req-delays",
  "D37",
  "Requests of a burst wait or get 503.",
  (view, lint) => {
    if (!view.isStream) return;
    const at = view.all("limit_req").directives.find(({ args }) => isDelaying(args));
    if (at === undefined) return;
    lint.reportStream(limitReqDelays, view, {
      severity: "info",
      at,
      message: "clients that reconnect at the same time wait for one another; beyond the burst they get 503",
      remedy: "add nodelay, or use sluice's limits.rate",
    });
  },
);

const isDelaying = (args: readonly string[]): boolean =>
  args.some((arg) => arg.startsWith("burst=")) &&
  !args.some((arg) => arg === "nodelay" || arg.startsWith("delay="));

const limitConnCountsStreams = streamRule(
  "limit-conn-counts-streams",
  "C18",
  "Open streams use up limit_conn; a refusal is final for an EventSource.",
  (view, lint) => {
    const [at] = view.all("limit_conn").directives;
    if (at === undefined || !view.isStream) return;
    lint.reportStream(limitConnCountsStreams, view, {
      severity: "warning",
      at,
      message: `every open stream counts against ${at.value}, each HTTP/2 stream too; a 503 is final for an EventSource`,
      remedy: "use sluice's limits.streamsPerClient, or no limit_conn for streams",
    });
  },
);

export const RATE_RULES: readonly Rule[] = [
  rateLimitedWhileBuffered,
  rateLimitVoid,
  limitReqDelays,
  limitConnCountsStreams,
];
