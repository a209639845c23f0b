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
/** For sluice: longer than its response header timeout of 60 s, and than any usual heartbeat. */
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
  "A silent stream is cut by the read timeout.",
  (view, lint) => {
    const setting = view.own(READ_TIMEOUT);
    const ms = parseTime(setting.value);
    if (ms === undefined || view.isClaimed(READ_TIMEOUT)) return;
    if (setting.isUncertain && setting.directive === undefined) return;
    const beat = view.sluice === undefined ? lint.options.heartbeatMs : view.heartbeatMs;
    if (beat === undefined ? ms > MINUTE_MS : ms > beat) return;
    const isError = view.sluice !== undefined;
    const why = beat === undefined ? "" : `, and something comes only every ${formatTime(beat)}`;
    lint.reportStream(readTimeoutCutsSilence, view, {
      severity: isError ? "error" : "warning",
      at: ownOr(view, setting.directive),
      message: `a stream that is silent for ${setting.value} is cut${why}`,
      cause: view.explain(setting),
      remedy: `${setting.name} ${isError ? FOR_SLUICE : FOR_OTHERS}; or a heartbeat below ${setting.value}`,
      fix: setInLocation(view, setting.name, isError ? FOR_SLUICE : FOR_OTHERS),
    });
  },
);

const websocketIdleCut = locationRule(
  "websocket-idle-cut",
  "W7",
  "An idle WebSocket is closed by the read timeout.",
  (view, lint) => {
    const setting = view.own(READ_TIMEOUT);
    const ms = parseTime(setting.value);
    if (view.carries !== "websocket" || view.family !== "proxy" || ms === undefined) return;
    if (ms > MINUTE_MS || setting.isUncertain || view.requestField("Upgrade") === undefined) return;
    lint.report(websocketIdleCut, {
      severity: "info",
      at: ownOr(view, setting.directive),
      location: view.location,
      message: `a WebSocket is closed after ${setting.value} without a byte from the backend`,
      cause: view.explain(setting),
      remedy: `pings more often than that, or ${setting.name} 1h;`,
    });
  },
);

/** Timers that do not touch a stream that is silent (C4). */
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
  "A timer is raised for streams that does not touch them.",
  (view, lint) => {
    if (!view.isStream) return;
    const names = view.location.directives.filter(({ name }) => VOID_TIMERS.has(name));
    for (const at of names.filter(isSaidToBeForStreams)) {
      lint.reportStream(timeoutVoid, view, {
        severity: "info",
        at,
        message: `${at.name} neither cuts a silent stream nor keeps it`,
        remedy: `only ${view.family}_read_timeout counts`,
      });
    }
  },
);

/** Whether the comment above a directive, or at the end of its line, speaks of streams. */
function isSaidToBeForStreams(directive: Directive): boolean {
  const { file, end } = directive;
  const behind = file.slice(end, file.lineEnd(end));
  return [behind, ...commentsAbove(directive).map(({ text }) => text)].some((text) =>
    ABOUT_STREAMS.test(text),
  );
}

/** Ports that HTTP is served on; streams of other protocols have timers of their own. */
const HTTP_PORT = /(?:^|:)(?:80|443|8000|8080|8443)$/;

const tcpTimeoutCutsSilence = configurationRule(
  "tcp-timeout-cuts-silence",
  "C7",
  "A silent connection through stream {} is closed.",
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
    message: `a connection that is silent for ${timeout.value} is closed, and a stream on it may look complete`,
    remedy: `proxy_timeout ${isSluice ? FOR_SLUICE : "10m"};`,
  });
}

const reloadCuts = configurationRule("reload-cuts", "C9", "Each reload breaks streams off.", (lint) => {
  const at = lint.configuration.main.last("worker_shutdown_timeout");
  const ms = parseTime(at?.value ?? "");
  if (at === undefined || ms === undefined || ms === 0) return;
  if (!lint.views.some((view) => view.isStream || view.carries === "websocket")) return;
  lint.report(reloadCuts, {
    severity: ms < HOUR_MS ? "warning" : "info",
    at,
    message: `each reload of nginx breaks off the streams that are still open ${at.value} later`,
    remedy: "no worker_shutdown_timeout, or hours",
  });
});

const ignoresClientAbort = streamRule(
  "ignores-client-abort",
  "C12",
  "The backend is not told that a client has left.",
  (view, lint) => {
    const setting = view.own("ignore_client_abort");
    if (setting.value !== "on") return;
    lint.reportStream(ignoresClientAbort, view, {
      severity: "error",
      at: setting.directive ?? view.target.directive,
      message: "the backend hears with its next event that a client has left, and never while it is silent",
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
