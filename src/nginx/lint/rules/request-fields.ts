import { isIP } from "node:net";
import type { Directive } from "../../directive.ts";
import { effectiveAll } from "../../effective.ts";
import { isVariable } from "../../target.ts";
import { isAtLeast, SINCE } from "../../version.ts";
import {
  canRemove,
  insertAfter,
  rawText,
  removeDirective,
  setInLocation,
  setRequestField,
} from "../edits.ts";
import type { Fix, Severity } from "../finding.ts";
import type { Lint } from "../lint.ts";
import { locationRule, type Rule, streamRule } from "../rule.ts";
import { isField, type View } from "../view.ts";

/** The fields that backends depend on. */
const IMPORTANT = /^(?:host|x-forwarded-.*|x-real-ip|forwarded|upgrade|connection|authorization)$/i;

const namesOf = (fields: readonly Directive[]): string[] => [
  ...new Set(fields.map(({ args }) => args[0] ?? "")),
];

const requestFieldsLost = locationRule(
  "request-fields-lost",
  "R1 D15",
  "One proxy_set_header in a location overrides all those of outer levels.",
  (view, lint) => {
    for (const name of [`${view.family}_set_header`, `${view.family}_pass_header`]) {
      const [at] = view.location.own(name);
      const all = view.all(name);
      const kept = namesOf(all.directives);
      const inherited = inheritedLines(view, name);
      const lost = namesOf(inherited).filter((field) => !kept.some((own) => isField(own, field)));
      if (at === undefined || all.level !== view.location || lost.length === 0 || all.isUncertain) continue;
      const isImportant = lost.some((field) => isImportantField(field, lint));
      const isReported = lint.reportStream(requestFieldsLost, view, {
        severity: isImportant ? "warning" : "info",
        at,
        message: `this overrides the outer ${name}: the backend no longer gets ${lost.join(", ")}`,
        cause: `set at ${[...new Set(inherited.map((directive) => directive.at))].slice(0, 5).join(", ")}`,
        remedy: "repeat them here; an include keeps them in one place",
        fix: repeat(view, name, inherited, kept),
      });
      if (isReported) for (const field of lost) view.claim(subjectOf(field));
    }
  },
);

/** Returns the subject to claim, so that no rule about the missing field reports it again. */
const subjectOf = (field: string): string =>
  /^(?:x-forwarded-for|x-real-ip|forwarded)$/i.test(field) ? "client address" : field.toLowerCase();

/** Whether a field's loss matters; that of Connection does not since nginx stopped sending `close` by default. */
const isImportantField = (field: string, lint: Lint): boolean =>
  IMPORTANT.test(field) && !(isField(field, "Connection") && isAtLeast(lint.version, SINCE.http11Upstream));

/** Returns the lines that the location would inherit without its own; levels further out are overridden anyway. */
const inheritedLines = ({ location }: View, name: string): readonly Directive[] =>
  location.outer === undefined ? [] : effectiveAll(location.outer, name).directives;

function repeat(view: View, name: string, inherited: readonly Directive[], kept: readonly string[]): Fix {
  const lines = inherited.filter(({ args }) => !kept.some((own) => isField(own, args[0] ?? "")));
  const anchor = view.location.own(name).at(-1) ?? view.target.directive;
  return { edits: lines.map((line) => insertAfter(anchor, rawText(line))), changes: [name] };
}

const hostLost = streamRule(
  "host-lost",
  "R2",
  "The backend gets another Host than the client sent.",
  (view, lint) => {
    const all = view.all("proxy_set_header");
    if (view.family !== "proxy" || view.requestField("Host") !== undefined || all.isUncertain) return;
    if (view.isClaimed("host")) return;
    if (view.sluice === undefined && (view.carries !== "declared" || isForeign(view))) return;
    lint.reportStream(hostLost, view, {
      severity: view.sluice === undefined ? "info" : "warning",
      at: view.target.directive,
      message: `the backend gets Host ${view.target.authority} instead of the client's`,
      remedy: "proxy_set_header Host $http_host;",
      fix: setRequestField(view, "Host", "$http_host"),
    });
  },
);

/** Whether the target is another site, which expects its own name as Host. */
export function isForeign({ target }: View): boolean {
  const host = target.authority.replace(/:\d+$/, "");
  return isVariable(host) || (target.upstream === undefined && host.includes(".") && isIP(host) === 0);
}

const hostPortLost = streamRule("host-port-lost", "R2", "$host has no port.", (view, lint) => {
  const field = view.requestField("Host");
  if (field?.args[1] !== "$host" || view.carries !== "declared" || view.family !== "proxy") return;
  const listens = view.listening?.directives ?? [];
  const port = listens.map(({ args }) => /(?:^|:)(\d+)$/.exec(args[0] ?? "")?.[1]).find(isUnusualPort);
  if (port === undefined) return;
  lint.reportStream(hostPortLost, view, {
    severity: "info",
    at: field,
    message: `$host has no port, and clients connect to port ${port}, so origin checks may fail`,
    remedy: "proxy_set_header Host $http_host;",
  });
});

const isUnusualPort = (port: string | undefined): boolean =>
  port !== undefined && port !== "80" && port !== "443";

const requestFieldTwice = locationRule(
  "request-field-twice",
  "R3",
  "nginx sends a field to the backend twice.",
  (view, lint) => {
    const seen = new Map<string, Directive>();
    for (const at of view.all("proxy_set_header").directives) {
      const name = (at.args[0] ?? "").toLowerCase();
      if (at.args[1] === "" || view.family !== "proxy") continue;
      const first = seen.get(name);
      seen.set(name, at);
      if (first === undefined) continue;
      const level = view.all("proxy_set_header").level;
      lint.report(requestFieldTwice, {
        severity: severityOfTwice(name, lint),
        at,
        location: view.location,
        message: `nginx sends ${at.args[0]} twice; the other line is at ${first.at}`,
        remedy: "keep one line",
        fix: canRemove(at, level)
          ? { edits: [removeDirective(at)], changes: ["proxy_set_header"] }
          : undefined,
      });
    }
  },
);

function severityOfTwice(name: string, lint: Lint): Severity {
  if (name !== "host") return "warning";
  return isAtLeast(lint.version, SINCE.oneHost) ? "info" : "error";
}

const schemeLost = streamRule(
  "scheme-lost",
  "R9",
  "The backend treats an https request as http.",
  (view, lint) => {
    const all = view.all("proxy_set_header");
    if (view.family !== "proxy" || view.carries !== "declared" || view.listening?.hasTls !== true) return;
    if (view.isClaimed("x-forwarded-proto")) return;
    const names = ["X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Scheme", "Forwarded"];
    if (all.isUncertain || names.some((name) => view.requestField(name) !== undefined)) return;
    if (view.sluice === undefined && isForeign(view)) return;
    lint.reportStream(schemeLost, view, {
      severity: view.sluice === undefined ? "info" : "warning",
      at: view.target.directive,
      message: "TLS ends here and X-Forwarded-Proto is not set, so the backend treats the request as http",
      remedy: "proxy_set_header X-Forwarded-Proto $scheme;",
      fix: setRequestField(view, "X-Forwarded-Proto", "$scheme"),
    });
  },
);

const requestFieldsDropped = streamRule(
  "request-fields-dropped",
  "R7",
  "Last-Event-ID, Authorization and Cookie do not reach the backend.",
  (view, lint) => {
    const setting = view.own("pass_request_headers");
    if (setting.value !== "off" || setting.directive === undefined) return;
    lint.reportStream(requestFieldsDropped, view, {
      severity: "error",
      at: setting.directive,
      message: "Last-Event-ID, Authorization and Cookie do not reach the backend",
      cause: view.explain(setting),
      remedy: "remove the line",
      fix: setInLocation(view, setting.name, "on"),
    });
  },
);

const lastEventIdCleared = streamRule(
  "last-event-id-cleared",
  "R7",
  "Clients cannot resume, because nginx removes Last-Event-ID.",
  (view, lint) => {
    const at = view.requestField("Last-Event-ID");
    if (at?.args[1] !== "" || view.family !== "proxy") return;
    const { level } = view.all("proxy_set_header");
    lint.report(lastEventIdCleared, {
      severity: "error",
      at,
      location: view.location,
      message: "clients cannot resume, because Last-Event-ID does not reach the backend",
      remedy: "remove the line",
      fix: canRemove(at, level) ? { edits: [removeDirective(at)], changes: ["proxy_set_header"] } : undefined,
    });
  },
);

const underscoredField = locationRule(
  "underscored-field",
  "R8",
  "nginx drops fields with an underscore.",
  (view, lint) => {
    if (view.setting("underscores_in_headers").value === "on") return;
    for (const at of view.all("proxy_set_header").directives) {
      const [name = "", value = ""] = at.args;
      if (!name.includes("_") || value !== `$http_${name.toLowerCase()}`) continue;
      lint.reportStream(underscoredField, view, {
        severity: "info",
        at,
        message: `nginx drops a client's ${name}, because the name has an underscore`,
        remedy: "add underscores_in_headers on; in the server",
      });
    }
  },
);

export const REQUEST_FIELD_RULES: readonly Rule[] = [
  requestFieldsLost,
  hostLost,
  hostPortLost,
  requestFieldTwice,
  schemeLost,
  requestFieldsDropped,
  lastEventIdCleared,
  underscoredField,
];
