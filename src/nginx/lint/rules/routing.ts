import type { Level } from "../../level.ts";
import {
  chooseLocation,
  expressionsIn,
  modifierOf,
  normalizePath,
  pathOf,
  regexMatches,
} from "../../locations.ts";
import { FAMILIES, findTarget } from "../../target.ts";
import type { Lint } from "../lint.ts";
import { configurationRule, type Rule, streamRule } from "../rule.ts";

const isPrefix = (location: Level): boolean => ["", "^~"].includes(modifierOf(location));

const slashRedirect = streamRule(
  "slash-redirect",
  "P8",
  "nginx redirects the path without its slash, with its own scheme and port.",
  (view, lint) => {
    const path = pathOf(view.location);
    if (view.carries !== "declared" || !isPrefix(view.location) || !path.endsWith("/") || path === "/")
      return;
    const bare = path.slice(0, -1);
    const server = view.server && chooseLocation(view.server, bare);
    if (server?.isRedirect !== true || server.location !== view.location) return;
    // Only a path that ends with a stream's word is likely to be requested without the slash.
    if (!/(?:sse|events?|streams?|mcp|completions|messages|responses|chat)\/$/i.test(path)) return;
    lint.reportStream(slashRedirect, view, {
      severity: "info",
      at: view.location.directive ?? view.target.directive,
      message: `nginx answers ${bare} with 301, with its own scheme and port; most clients then send a GET`,
      remedy: `add location = ${bare}, and absolute_redirect off;`,
    });
  },
);

/** The maximum number of regular expressions of a server: each stream is compared with all of them. */
const MAX_EXPRESSIONS = 200;

/** The file extensions that the path of a stream may have. */
const ENDINGS = /\b(?:json|xml|txt|html?|events?|stream|sse)\b/i;

const staticRegexFirst = streamRule(
  "static-regex-first",
  "P9",
  "A regular expression for static files wins over the location.",
  (view, lint) => {
    const { location, server } = view;
    if (!view.isStream || server === undefined || modifierOf(location) !== "" || location.outer !== server)
      return;
    if (pathOf(location) === "/") return;
    const expressions = expressionsIn(server).slice(0, MAX_EXPRESSIONS);
    const taking = expressions.find((level) => regexMatches(level, pathOf(location)));
    const partly = expressions.find((level) => isStatic(level) && ENDINGS.test(endingsOf(level)));
    const winner = taking ?? partly;
    if (winner?.directive === undefined || findTarget(winner, view.configuration) !== undefined) return;
    lint.reportStream(staticRegexFirst, view, {
      severity: taking === undefined ? "info" : "warning",
      at: location.directive ?? view.target.directive,
      message: `location ${winner.pattern} at ${winner.directive.at} wins over this location`,
      remedy: `use location ^~ ${pathOf(location)}`,
    });
  },
);

const endingsOf = (location: Level): string => /\\\.\(?\??:?[\w|?]+\)?\$?$/.exec(pathOf(location))?.[0] ?? "";

const isStatic = (location: Level): boolean =>
  !FAMILIES.some((family) => location.own(`${family}_pass`).length > 0);

const nestedWithoutPass = configurationRule(
  "nested-location-without-pass",
  "P10",
  "A nested location does not inherit proxy_pass.",
  (lint) => {
    for (const outer of new Set(lint.views.map(({ location }) => location))) {
      for (const inner of outer.levels) checkNested(inner, lint);
    }
  },
);

/** The directives with which nginx itself answers: settings for a backend beside them are leftovers. */
const OWN_HANDLERS = [
  "return",
  "root",
  "alias",
  "try_files",
  "empty_gif",
  "stub_status",
  "rewrite",
  "if",
  "deny",
];

function checkNested(inner: Level, lint: Lint): void {
  if (inner.kind !== "location" || inner.directive === undefined || inner.unread.length > 0) return;
  const setting = inner.directives.find(({ name }) =>
    FAMILIES.some((family) => name.startsWith(`${family}_`)),
  );
  if (setting === undefined || setting.name.endsWith("_pass")) return;
  if (inner.directives.some(({ name }) => OWN_HANDLERS.includes(name) || /_pass$|_by_lua/.test(name))) return;
  if (inner.levels.some((level) => level.kind === "location")) return;
  lint.report(nestedWithoutPass, {
    severity: "error",
    at: inner.directive,
    location: inner,
    message: `a nested location does not inherit ${setting.name.split("_")[0]}_pass: nginx answers from files, mostly with 404`,
    remedy: "repeat the …_pass here",
  });
}

const spaAnswers = configurationRule(
  "spa-answers",
  "P11",
  "nginx answers a stream's path with a page.",
  (lint) => {
    const { streams, sluice } = lint.options;
    const paths = [...streams, ...(sluice.routes ?? []).map(({ path }) => path.replace(/\/\*$/, "/"))];
    for (const level of lint.configuration.main.inward()) {
      if (level.kind !== "server") continue;
      for (const path of new Set(paths)) checkPath(path, level, lint);
    }
  },
);

function checkPath(path: string, server: Level, lint: Lint): void {
  const location = chooseLocation(server, normalizePath(path))?.location;
  const proxiesAny = lint.views.some((view) => view.server === server);
  if (location?.directive === undefined || !proxiesAny || findTarget(location, lint.configuration)) return;
  const fallback = location.last("try_files")?.args.at(-1) ?? "";
  if (!/\.html?$/.test(fallback)) return;
  lint.report(spaAnswers, {
    severity: "info",
    at: location.directive,
    location,
    message: `nginx answers ${path}, the path of a stream, with 200 and ${fallback}`,
    remedy: `add a location for ${path} with proxy_pass`,
  });
}

export const ROUTING_RULES: readonly Rule[] = [
  slashRedirect,
  staticRegexFirst,
  nestedWithoutPass,
  spaAnswers,
];
