import { findMap } from "../../configuration.ts";
import { effective } from "../../effective.ts";
import type { Level } from "../../level.ts";
import { isAtLeast, SINCE } from "../../version.ts";
import { CONNECTION_MAP, setConnectionByMap } from "../connection-map.ts";
import {
  appendWord,
  removeDirective,
  removeWord,
  replaceWord,
  setInLocation,
  setRequestField,
  together,
} from "../edits.ts";
import type { Lint } from "../lint.ts";
import { configurationRule, locationRule, type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";
import { HTTP_VERSION } from "./request-body.ts";

const serversOf = (view: View): number => view.target.upstream?.own("server").length ?? 0;

const postSentTwice = streamRule(
  "post-sent-twice",
  "C15",
  "non_idempotent sends a POST to a second backend although the first has it.",
  (view, lint) => {
    const all = view.all(`${view.family}_next_upstream`);
    const at = all.directives.find(({ args }) => args.includes("non_idempotent"));
    const word = at?.words.find(({ value }) => value === "non_idempotent");
    if (at === undefined || word === undefined || serversOf(view) < 2) return;
    lint.reportStream(postSentTwice, view, {
      severity: "warning",
      at,
      message: "non_idempotent sends a POST to a second backend although the first has already received it",
      remedy: "remove non_idempotent",
      fix: { edits: [removeWord(word)], changes: [at.name] },
    });
  },
);

const getSentTwice = streamRule(
  "get-sent-twice",
  "C14",
  "nginx sends a GET without a prompt response to the next server too.",
  (view, lint) => {
    const setting = view.own("next_upstream");
    if (view.carries !== "declared" || view.sluice !== undefined || serversOf(view) < 2) return;
    if (!setting.args.includes("timeout") || setting.isUncertain) return;
    lint.reportStream(getSentTwice, view, {
      severity: "info",
      at: setting.directive ?? view.location.directive ?? view.target.directive,
      message: `nginx sends a GET without a response for ${view.own("read_timeout").value} to the next server too`,
      cause: view.explain(setting),
      remedy: `${setting.name} error;`,
    });
  },
);

const oneFailureCountsLong = configurationRule(
  "one-failure-counts-long",
  "C16",
  "One refused connection removes a server from use while its streams are open.",
  (lint) => {
    for (const [level, views] of streamsByUpstream(lint)) {
      const servers = level.own("server").filter(({ args }) => !args.includes("backup"));
      const lacking = servers.filter(({ args }) => !args.some((arg) => /^(?:max_fails=|down$)/.test(arg)));
      const [at] = lacking;
      if (servers.length < 2 || at === undefined) continue;
      lint.report(oneFailureCountsLong, {
        severity: views.some(({ sluice }) => sluice) ? "warning" : "info",
        at,
        message:
          "after one refused connection nginx does not use the server for 10 s; without any server left, new streams get 502",
        remedy: "set max_fails=0 for each server",
        fix: { edits: lacking.map((server) => appendWord(server, "max_fails=0")), changes: ["server"] },
      });
    }
  },
);

/** Returns the streams of each upstream. */
function streamsByUpstream({ views }: Lint): ReadonlyMap<Level, readonly View[]> {
  const found = new Map<Level, View[]>();
  for (const view of views) {
    const { upstream } = view.target;
    if (upstream === undefined || !view.isStream) continue;
    const streams = found.get(upstream);
    if (streams === undefined) found.set(upstream, [view]);
    else streams.push(view);
  }
  return found;
}

/** The fewest worker_connections without a finding: each stream takes two. */
const MANY_CONNECTIONS = 1024;

const connectionsFew = configurationRule(
  "connections-few",
  "C17",
  "Each stream takes two of the worker's connections.",
  (lint) => {
    const events = lint.configuration.main.levels.find(({ kind }) => kind === "events");
    if (events?.directive === undefined || !lint.views.some(({ carries }) => carries === "declared")) return;
    const setting = effective(events, "worker_connections", lint.version);
    const count = Number(setting.value);
    if (!Number.isInteger(count) || count >= MANY_CONNECTIONS || setting.isUncertain) return;
    lint.report(connectionsFew, {
      severity: "info",
      at: setting.directive ?? events.directive,
      message: `${count} connections are enough for ${Math.floor(count / 2)} streams per worker; further requests get 500 Internal Server Error`,
      remedy: "set worker_connections to twice the streams, plus the other clients",
    });
  },
);

const http10Upstream = streamRule(
  "http10-upstream",
  "D1 E2 W1",
  "nginx uses HTTP/1.0 to the backend.",
  (view, lint) => {
    const setting = view.setting("proxy_http_version");
    if (view.family !== "proxy" || setting.value !== "1.0" || view.isClaimed(HTTP_VERSION)) return;
    if (setting.directive === undefined && setting.isUncertain) return;
    lint.reportStream(http10Upstream, view, {
      severity: view.sluice === undefined ? "warning" : "info",
      at: setting.directive ?? view.location.directive ?? view.target.directive,
      message:
        "nginx uses HTTP/1.0 to the backend: an aborted stream looks complete, and nginx reuses no connection",
      cause: view.explain(setting),
      remedy: "proxy_http_version 1.1;",
      fix: setInLocation(view, "proxy_http_version", "1.1"),
    });
  },
);

const chunkedOff = locationRule("chunked-off", "E3", "Every aborted stream looks complete.", (view, lint) => {
  const setting = view.setting("chunked_transfer_encoding");
  if (setting.value !== "off" || setting.directive === undefined || view.carries === "websocket") return;
  const { directive } = setting;
  lint.reportStream(chunkedOff, view, {
    severity: "error",
    at: directive,
    message: "an aborted stream looks complete; the directive does not affect buffering",
    cause: view.explain(setting),
    remedy: "remove the line",
    fix: { edits: [removeDirective(directive)], changes: ["chunked_transfer_encoding"] },
  });
});

const keepaliveNotUsed = locationRule(
  "keepalive-not-used",
  "W1 W2",
  "nginx does not reuse the connections of keepalive.",
  (view, lint) => {
    const keepalive = view.target.upstream?.last("keepalive");
    if (keepalive === undefined || view.family !== "proxy" || isAtLeast(lint.version, SINCE.http11Upstream))
      return;
    const isOld = view.setting("proxy_http_version").value === "1.0";
    const connection = view.requestField("Connection");
    const isUncertain =
      view.all("proxy_set_header").isUncertain || view.setting("proxy_http_version").isUncertain;
    const isCleared =
      connection !== undefined && (connection.arg(1) === "" || connection.arg(1).includes("$"));
    if (isUncertain || (!isOld && isCleared) || /upgrade/i.test(connection?.arg(1) ?? "")) return;
    lint.reportStream(keepaliveNotUsed, view, {
      severity: "info",
      at: keepalive,
      message: `${view.location.label} opens a new connection for each request: ${isOld ? "HTTP/1.0 reuses none" : "nginx sends Connection: close"}`,
      remedy: 'proxy_http_version 1.1; proxy_set_header Connection "";',
      fix: together(
        isOld ? setInLocation(view, "proxy_http_version", "1.1") : undefined,
        setRequestField(view, "Connection", '""'),
      ),
    });
  },
);

const mapCloses = locationRule(
  "map-closes",
  "W3",
  "The map closes the backend connection of each ordinary request.",
  (view, lint) => {
    const value = view.requestField("Connection")?.arg(1) ?? "";
    const map = value.startsWith("$") ? findMap(view.configuration, value.replace(/[{}]/g, "")) : undefined;
    const empty = map?.block?.find(({ name, args }) => name === "" && args[0] === "close");
    const word = empty?.words[1];
    if (empty === undefined || word === undefined || view.target.upstream?.last("keepalive") === undefined)
      return;
    lint.report(mapCloses, {
      severity: "info",
      at: empty,
      message: "each ordinary request closes its backend connection, so keepalive has no effect",
      remedy: "'' '';",
      fix: { edits: [replaceWord(word, "''")], changes: [] },
    });
  },
);

const connectionUpgradeOnAll = locationRule(
  "connection-upgrade-on-all",
  "W4",
  "nginx sends Connection: upgrade with every request.",
  (view, lint) => {
    const field = view.requestField("Connection");
    if (field === undefined || view.carries === "websocket" || !/^upgrade$/i.test(field.arg(1))) return;
    lint.reportStream(connectionUpgradeOnAll, view, {
      severity: "info",
      at: field,
      message: "the backend gets Connection: upgrade on ordinary requests too",
      remedy: CONNECTION_MAP,
      fix: setConnectionByMap(view, {}),
    });
  },
);

export const UPSTREAM_RULES: readonly Rule[] = [
  postSentTwice,
  getSentTwice,
  oneFailureCountsLong,
  connectionsFew,
  chunkedOff,
  keepaliveNotUsed,
  mapCloses,
  connectionUpgradeOnAll,
];
/** Runs after all rules that may claim the HTTP version. */
export const GENERAL_UPSTREAM_RULES: readonly Rule[] = [http10Upstream];
