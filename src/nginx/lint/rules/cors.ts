import type { Directive } from "../../directive.ts";
import { effectiveFields } from "../../effective.ts";
import type { Level } from "../../level.ts";
import { appendWord, insertAfter, removeDirective, replaceWord } from "../edits.ts";
import type { Lint } from "../lint.ts";
import { configurationRule, locationRule, type Rule } from "../rule.ts";
import { isField, type View } from "../view.ts";
import { answersPreflight } from "./preflight.ts";

const ORIGIN = "Access-Control-Allow-Origin";
const CREDENTIALS = "Access-Control-Allow-Credentials";
const HEADERS = "Access-Control-Allow-Headers";

/** Returns the lines that set a field, without empty values, which nginx does not send. */
const linesOf = (fields: readonly Directive[], name: string): Directive[] =>
  fields.filter(({ args }) => isField(args[0], name) && args[1] !== "");

const corsTwice = locationRule(
  "cors-twice",
  "H1",
  "Two Access-Control-Allow-Origin fields: browsers refuse the response.",
  (view, lint) => {
    const lines = linesOf(view.all("add_header").directives, ORIGIN);
    const [at] = lines;
    if (at === undefined) return;
    const isByRoute = view.routes?.some(({ hasCors }) => hasCors) === true && !view.hides(ORIGIN);
    const isTwiceHere = lines.length > 1 && lines.every(({ args }) => !args[1]?.includes("$"));
    if (!isByRoute && !isTwiceHere) return;
    const second = lines[1] ?? at;
    const isReported = lint.report(corsTwice, {
      severity: "error",
      at: isTwiceHere ? second : at,
      location: view.location,
      message: `the response gets two ${ORIGIN} fields, ${isByRoute ? "one from nginx and one from sluice's route" : "both from here"}; browsers refuse it`,
      remedy: isByRoute
        ? "remove Access-Control-* here, or cors from the route"
        : "keep one, with a map for several origins",
      fix: isTwiceHere ? { edits: [removeDirective(second)], changes: ["add_header"] } : undefined,
    });
    if (isReported) view.claim("cors");
  },
);

const corsMaybeTwice = locationRule(
  "cors-maybe-twice",
  "H1",
  "Two Access-Control-Allow-Origin fields if the backend also sends one.",
  (view, lint) => {
    const [at] = linesOf(view.all("add_header").directives, ORIGIN);
    const isKnown = view.routes !== undefined && view.sluice !== undefined;
    if (at === undefined || isKnown || view.isClaimed("cors") || view.hides(ORIGIN)) return;
    const line = `${view.family}_hide_header ${ORIGIN};`;
    const name = `${view.family}_hide_header`;
    const hidden = view.all(name);
    const isSafe = hidden.level === undefined || hidden.level === view.location;
    lint.reportStream(corsMaybeTwice, view, {
      severity: "info",
      at,
      message: `browsers refuse the response if the backend also sends ${ORIGIN}`,
      remedy: line,
      fix: isSafe ? { edits: [insertAfter(view.target.directive, line)], changes: [name] } : undefined,
    });
  },
);

const corsNotOnErrors = locationRule(
  "cors-not-on-errors",
  "H2",
  "Pages cannot read errors, because errors lack the CORS fields.",
  (view, lint) => {
    const fields = view.all("add_header").directives;
    const [at] = linesOf(fields, ORIGIN).filter(({ args }) => args[2] !== "always");
    if (at === undefined) return;
    const lacking = fields.filter(({ args }) => /^access-control-/i.test(args[0] ?? "") && args.length === 2);
    lint.reportStream(corsNotOnErrors, view, {
      severity: "warning",
      at,
      message: "without always, 401, 413, 429 and 5xx have no CORS fields, so a page cannot read them",
      remedy: "add always at the end of the line",
      fix: { edits: lacking.map((line) => appendWord(line, "always")), changes: ["add_header"] },
    });
  },
);

const corsLacksLastEventId = locationRule(
  "cors-lacks-last-event-id",
  "",
  "Clients that set Last-Event-ID themselves cannot resume.",
  (view, lint) => {
    if (!view.isStream) return;
    const [at] = linesOf(view.all("add_header").directives, HEADERS);
    const value = at?.args[1] ?? "";
    const names = value.toLowerCase().split(/[\s,]+/);
    const lacking = ["Last-Event-ID", "Cache-Control"].filter((name) => !names.includes(name.toLowerCase()));
    const word = at?.words[2];
    if (at === undefined || word === undefined || value.includes("$") || names.includes("*")) return;
    if (!lacking.includes("Last-Event-ID")) return;
    lint.reportStream(corsLacksLastEventId, view, {
      severity: "info",
      at,
      message: "a client that sets Last-Event-ID itself, as polyfills do, cannot resume",
      remedy: `add ${lacking.join(", ")}`,
      fix: {
        edits: [replaceWord(word, `"${[value, ...lacking].join(", ").replaceAll('"', '\\"')}"`)],
        changes: ["add_header"],
      },
    });
  },
);

const corsStarWithCredentials = configurationRule(
  "cors-star-with-credentials",
  "",
  "Browsers refuse * together with credentials.",
  (lint) => {
    for (const level of lint.configuration.main.inward()) {
      if (level.own("add_header").length > 0) checkStar(level, lint);
    }
  },
);

function checkStar(level: Level, lint: Lint): void {
  const fields = effectiveFields(level, "add_header", lint.version).directives;
  const star = linesOf(fields, ORIGIN).find(({ args }) => args[1] === "*");
  const credentials = linesOf(fields, CREDENTIALS).find(({ args }) => args[1] === "true");
  if (star === undefined || credentials === undefined) return;
  lint.report(corsStarWithCredentials, {
    severity: "error",
    at: star,
    message: `browsers refuse * together with ${CREDENTIALS}: true`,
    remedy: "send the page's own origin, from a map of $http_origin",
  });
}

const preflightNeedsCredentials = locationRule(
  "preflight-needs-credentials",
  "H6",
  "A preflight carries no credentials and gets 401 or 403.",
  (view, lint) => {
    const hasCors =
      linesOf(view.all("add_header").directives, ORIGIN).length > 0 ||
      view.routes?.some((route) => route.hasCors) === true;
    const at = hasCors ? guardOf(view) : undefined;
    if (at === undefined || answersPreflight(view.location)) return;
    lint.reportStream(preflightNeedsCredentials, view, {
      severity: "error",
      at,
      message: `${at.name} refuses preflights, because they carry no credentials, so no page of another origin can connect`,
      remedy:
        "add if ($request_method = OPTIONS) { return 204; } with the CORS fields, or authenticate in sluice",
    });
  },
);

/** Returns the directive that requires credentials for every request; undefined without any. */
function guardOf(view: View): Directive | undefined {
  for (const name of ["auth_basic", "auth_request", "auth_jwt"]) {
    const { directive, value } = view.setting(name);
    if (directive !== undefined && value !== "off") return directive;
  }
  const except = view.location.levels.find(
    ({ kind, directive }) => kind === "limit_except" && !directive?.args.includes("OPTIONS"),
  );
  return except?.own("deny").some(({ value }) => value === "all") ? except.directive : undefined;
}

export const CORS_RULES: readonly Rule[] = [
  corsTwice,
  corsMaybeTwice,
  corsNotOnErrors,
  corsLacksLastEventId,
  corsStarWithCredentials,
  preflightNeedsCredentials,
];
