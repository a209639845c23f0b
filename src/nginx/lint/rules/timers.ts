import { commentsAbove } from "../../carries.ts";
import type { Directive } from "../../directive.ts";
import type { Level } from "../../level.ts";
import { findTarget } from "../../target.ts";
import { formatTime, parseTime } from "../../units.ts";
import { replaceWord, setInLocation } from "../edits.ts";
import type { Lint } from "../lint.ts";
import { DEFAULT_HEARTBEAT_MS } from "../options.ts";
import { configurationRule, locationRule, type Rule, streamRule } from "../rule.ts";
import { sluiceBehind } from "../sluice.ts";
import { ownOr } from "./buffering.ts";

const READ_TIMEOUT = "read_timeout";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** For sluice: longer than its response header timeout of 60 s and any usual heartbeat. */
const FOR_SLUICE = "75s";
const FOR_OTHERS = "1h";

const FOREIGN_TIMEOUT = /^(proxy|fastcgi|uwsgi|scgi|grpc)_read_timeout$/;

const timeoutOfAnotherProtocol = locationRule(
  "timeout-of-another-protocol",
  "C6",
  "The read timeout of another protocol has no effect.",
  (view, lint) => {
    if (view.location.own(`${view.family}_read_timeout`).length > 0) return;
    for (const at of view.location.directives) {
      const family = FOREIGN_TIMEOUT.exec(at.name)?.[1];
      if (family === undefined || family === view.family || view.family === "memcached") continue;
      if (view.location.levels.some((inner) => inner.own(`${family}_pass`).length > 0)) continue;
      const [name] = at.words;
      const own = `${view.family}_read_timeout`;
      const isReported = lint.report(timeoutOfAnotherProtocol, {
        severity: "error",
        at,
        location: view.location,
        message: `${at.name} has no effect beside ${view.target.directive.name}`,
        cause: view.explain(view.own(READ_TIMEOUT)),
        remedy: `${own} ${at.value};`,
        fix: name && { edits: [replaceWord(name, own)], changes: [at.name, own] },
      });
      if (isReported) view.claim(READ_TIMEOUT);
    }
  },
);

const readTimeoutCutsSilence = streamRule(
  "read-timeout-cuts-silence",
  "C1 C2 C3",
  "The read timeout cuts a silent stream.",
  (view, lint) => {
    const setting = view.own(READ_TIMEOUT);
    const ms = parseTime(setting.value);
    if (ms === undefined || view.isClaimed(READ_TIMEOUT)) return;
    if (setting.isUncertain && setting.directive === undefined) return;
    const beat = view.sluice === undefined ? lint.options.heartbeatMs : view.heartbeatMs;
    if (beat === undefined ? ms > MINUTE_MS : ms > beat) return;
    const isError = view.sluice !== undefined;
    const why = beat === undefined ? "" : `, and bytes come only every ${formatTime(beat)}`;
    lint.reportStream(readTimeoutCutsSilence, view, {
      severity: isError ? "error" : "warning",
      at: ownOr(view, setting.directive),
      message: `nginx cuts a stream that is silent for ${setting.value}${why}`,
      cause: view.explain(setting),
      remedy: `${setting.name} ${isError ? FOR_SLUICE : FOR_OTHERS}; or a heartbeat interval below ${setting.value}`,
      fix: setInLocation(view, setting.name, isError ? FOR_SLUICE : FOR_OTHERS),
    });
  },
);

const websocketIdleCut = locationRule(
  "websocket-idle-cut",
  "W7",
  "The read timeout closes an idle WebSocket.",
  (view, lint) => {
    const setting = view.own(READ_TIMEOUT);
    const ms = parseTime(setting.value);
    if (view.carries !== "websocket" || view.family !== "proxy" || ms === undefined) return;
    if (ms > MINUTE_MS || setting.isUncertain || view.requestField("Upgrade") === undefined) return;
    lint.report(websocketIdleCut, {
      severity: "info",
      at: ownOr(view, setting.directive),
      location: view.location,
      message: `nginx closes a WebSocket after ${setting.value} without a byte from the backend`,
      cause: view.explain(setting),
      remedy: `send pings more often, or ${setting.name} 1h;`,
    });
  },
);

/** The timers that do not affect a silent stream (C4). */
const VOID_TIMERS: ReadonlySet<string> = new Set([
  "proxy_send_timeout",
  "proxy_connect_timeout",
  "send_timeout",
  "keepalive_timeout",
  "keepalive_time",
  "keepalive_requests",
  "client_header_timeout",
  "client_body_timeout",
  "proxy_next_upstream_timeout",
  "lingering_timeout",
]);
const ABOUT_STREAMS = /\bSSE\b|\bevent[- ]?streams?\b|\bserver[- ]sent\b|\bEventSource\b|\bstreaming\b/i;

const timeoutVoid = streamRule(
  "timeout-void",
  "C4",
  "A timer that does not affect streams is set for them.",
  (view, lint) => {
    if (!view.isStream) return;
    const names = view.location.directives.filter(({ name }) => VOID_TIMERS.has(name));
    for (const at of names.filter(isSaidToBeForStreams)) {
      lint.reportStream(timeoutVoid, view, {
        severity: "info",
        at,
        message: `${at.name} has no effect on a silent stream`,
        remedy: `set ${view.family}_read_timeout, the only timer that affects a silent stream`,
      });
    }
  },
);

/** Whether a comment above a directive or at the end of its line mentions streams. */
function isSaidToBeForStreams(directive: Directive): boolean {
  const { file, end } = directive;
  const behind = file.slice(end, file.lineEnd(end));
  return [behind, ...commentsAbove(directive).map(({ text }) => text)].some((text) =>
    ABOUT_STREAMS.test(text),
  );
}

/** The usual ports of HTTP: TCP streams of other protocols have their own timers. */
const HTTP_PORT = /(?:^|:)(?:80|443|8000|8080|8443)$/;

const tcpTimeoutCutsSilence = configurationRule(
  "tcp-timeout-cuts-silence",
  "C7",
  "nginx closes a silent connection through stream {}.",
  (lint) => {
    for (const level of lint.configuration.main.inward()) {
      if (level.kind === "stream server") checkTcpServer(level, lint);
    }
  },
);

function checkTcpServer(level: Level, lint: Lint): void {
  const target = findTarget(level, lint.configuration);
  const timeout = [...level.outward()].map((each) => each.last("proxy_timeout")).find((each) => each);
  if (target === undefined || timeout === undefined) return;
  const ms = parseTime(timeout.value);
  const isSluice = sluiceBehind(target, lint.options.sluice) !== undefined;
  const isHttp = level.own("listen").some(({ args }) => HTTP_PORT.test(args[0] ?? ""));
  const least = isSluice ? (lint.options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS) : MINUTE_MS;
  if (ms === undefined || ms > least || (!isSluice && !isHttp)) return;
  lint.report(tcpTimeoutCutsSilence, {
    severity: "warning",
    at: timeout,
    message: `nginx closes a connection that is silent for ${timeout.value}, and a stream on it may look complete`,
    remedy: `proxy_timeout ${isSluice ? FOR_SLUICE : "10m"};`,
  });
}

const reloadCuts = configurationRule("reload-cuts", "C9", "Each reload of nginx aborts streams.", (lint) => {
  const at = lint.configuration.main.last("worker_shutdown_timeout");
  const ms = parseTime(at?.value ?? "");
  if (at === undefined || ms === undefined || ms === 0) return;
  if (!lint.views.some((view) => view.isStream || view.carries === "websocket")) return;
  lint.report(reloadCuts, {
    severity: ms < HOUR_MS ? "warning" : "info",
    at,
    message: `${at.value} after each reload, nginx aborts the streams that are still open`,
    remedy: "remove worker_shutdown_timeout, or set hours",
  });
});

const ignoresClientAbort = streamRule(
  "ignores-client-abort",
  "C12",
  "The backend does not notice that a client has disconnected.",
  (view, lint) => {
    const setting = view.own("ignore_client_abort");
    if (setting.value !== "on") return;
    lint.reportStream(ignoresClientAbort, view, {
      severity: "error",
      at: setting.directive ?? view.target.directive,
      message:
        "the backend notices a client's disconnect only at its next event, and never while it is silent",
      cause: view.explain(setting),
      remedy: `${setting.name} off;`,
      fix: setInLocation(view, setting.name, "off"),
    });
  },
);

export const TIMER_RULES: readonly Rule[] = [
  timeoutOfAnotherProtocol,
  readTimeoutCutsSilence,
  websocketIdleCut,
  timeoutVoid,
  tcpTimeoutCutsSilence,
  reloadCuts,
  ignoresClientAbort,
];
