import { isIP } from "node:net";
import { findUpstream } from "../../configuration.ts";
import { isPlaceholder } from "../../directive.ts";
import type { Level } from "../../level.ts";
import { hasPrefix, isRegex, modifierOf, pathOf } from "../../locations.ts";
import { isVariable } from "../../target.ts";
import { replaceWord } from "../edits.ts";
import type { Fix } from "../finding.ts";
import { locationRule, type Rule, streamRule } from "../rule.ts";
import type { View } from "../view.ts";

/** Returns the path in `proxy_pass` that replaces the location's; undefined after a `rewrite … break`. */
function replacingUri(view: View): string | undefined {
  const { target, location } = view;
  const isRewritten = location.own("rewrite").some(({ args }) => args.includes("break"));
  return view.family !== "proxy" || isRewritten || target.directive.hasPlaceholder ? undefined : target.uri;
}

const isPrefix = (location: Level): boolean => ["", "^~"].includes(modifierOf(location));

/** Returns a prefix location's path and its replacement; undefined if nginx does not replace it. */
function replacement(view: View): { readonly prefix: string; readonly uri: string } | undefined {
  const uri = replacingUri(view);
  if (uri === undefined || isVariable(view.target.directive.arg(0)) || !isPrefix(view.location))
    return undefined;
  const prefix = pathOf(view.location);
  return prefix.startsWith("/") ? { prefix, uri } : undefined;
}

const doubleSlash = locationRule(
  "double-slash",
  "P3",
  "The backend gets a path that begins with two slashes.",
  (view, lint) => {
    const found = replacement(view);
    if (found === undefined || found.prefix.endsWith("/") || !found.uri.endsWith("/")) return;
    lint.report(doubleSlash, {
      // WebSocket clients mostly request exactly this path.
      severity: view.carries === "websocket" ? "info" : "warning",
      at: view.target.directive,
      location: view.location,
      message: `${found.prefix}/x reaches the backend as ${found.uri}/x`,
      remedy: `use location ${found.prefix}/, or proxy_pass without a path`,
      fix: withSlash(view.location),
    });
    view.claim("path");
  },
);

/** Adds a slash to the location's path, unless another location has that path already. */
function withSlash(location: Level): Fix | undefined {
  const word = location.directive?.words.at(-1);
  const path = `${pathOf(location)}/`;
  const isTaken = location.outer !== undefined && hasPrefix(location.outer, path);
  if (word === undefined || word.quote !== undefined || isTaken) return undefined;
  return { edits: [replaceWord(word, `${word.raw}/`)], changes: ["location"] };
}

const slashMissing = locationRule(
  "slash-missing",
  "P4",
  "The rest of the path follows the path in proxy_pass without a slash.",
  (view, lint) => {
    const found = replacement(view);
    if (found === undefined || !found.prefix.endsWith("/") || /[/?=&]$|\?/.test(found.uri)) return;
    const word = view.target.directive.words[1];
    const isBare = word !== undefined && word.quote === undefined;
    lint.report(slashMissing, {
      severity: "error",
      at: view.target.directive,
      location: view.location,
      message: `${found.prefix}x reaches the backend as ${found.uri}x`,
      remedy: "add a slash at the end of proxy_pass",
      fix: isBare ? { edits: [replaceWord(word, `${word.raw}/`)], changes: ["proxy_pass"] } : undefined,
    });
    view.claim("path");
  },
);

const pathRewritten = streamRule(
  "path-rewritten",
  "P2",
  "nginx decodes and normalizes the path for the backend.",
  (view, lint) => {
    const uri = replacingUri(view);
    if (uri === undefined || isVariable(view.target.directive.arg(0)) || view.isClaimed("path")) return;
    if (view.sluice === undefined && view.carries !== "declared") return;
    const word = view.target.directive.words[1];
    const isSame = isPrefix(view.location) && pathOf(view.location) === uri;
    lint.reportStream(pathRewritten, view, {
      severity: view.sluice === undefined ? "info" : "warning",
      at: view.target.directive,
      message: `with a path in proxy_pass, nginx decodes and normalizes: a%2Fb becomes a/b, and ${view.sluice === undefined ? "signatures over the path fail" : "signed requests fail"}`,
      remedy: `use proxy_pass without a path${view.sluice === undefined ? "" : ", and rewrite.stripPrefix in the route"}`,
      fix:
        isSame && word !== undefined && word.quote === undefined
          ? { edits: [replaceWord(word, word.raw.slice(0, -uri.length))], changes: ["proxy_pass"] }
          : undefined,
    });
  },
);

const REQUEST_URI = /\$\{?(?:request_uri|is_args|args|query_string)\b/;
const DECODED = /\$\{?(?:uri|document_uri|[1-9])\b/;

const queryLost = locationRule(
  "query-lost",
  "P5",
  "All requests get the same path, without the query.",
  (view, lint) => {
    const uri = replacingUri(view);
    const word = view.target.directive.arg(0);
    if (uri === undefined || !isVariable(word) || isVariable(uri)) return;
    if (modifierOf(view.location) === "=" || modifierOf(view.location) === "@") return;
    lint.report(queryLost, {
      severity: "error",
      at: view.target.directive,
      location: view.location,
      message: `with a variable in proxy_pass, every request goes to ${uri}, whatever its path and query`,
      remedy: "replace the path with $request_uri, or remove it",
    });
  },
);

const decodedPath = locationRule(
  "decoded-path-in-proxy-pass",
  "P6",
  "The request line contains decoded text.",
  (view, lint) => {
    const word = view.target.directive.arg(0);
    if (view.family !== "proxy" || view.target.directive.hasPlaceholder || !DECODED.test(word)) return;
    // After `rewrite ^ $request_uri;` the path is the client's, not decoded.
    if (view.location.own("rewrite").some(({ args }) => args[1]?.includes("$request_uri"))) return;
    const isSafe = hasSafeCaptures(word, view.location);
    const hasQuery = REQUEST_URI.test(word);
    if (isSafe && hasQuery) return;
    lint.report(decodedPath, {
      severity: isSafe ? "warning" : "error",
      at: view.target.directive,
      location: view.location,
      message: isSafe
        ? "the query is lost"
        : "the request line contains decoded text: a blank in the path breaks it, and a line break allows injection",
      remedy: isSafe
        ? "add $is_args$args at the end"
        : "use rewrite … break; and proxy_pass without a path, or $request_uri",
    });
  },
);

/** Whether every decoded part is a group of the location's expression that matches only safe characters. */
function hasSafeCaptures(word: string, location: Level): boolean {
  if (/\$\{?(?:uri|document_uri)\b/.test(word) || !isRegex(location)) return false;
  if (location.own("rewrite").length > 0 || location.own("if").length > 0) return false;
  const groups = groupsOf(pathOf(location));
  return [...word.matchAll(/\$\{?([1-9])/g)].every(([, number]) => {
    const group = groups[Number(number) - 1];
    return (
      group !== undefined &&
      /^[\w\-|?*+(){},:[\]]+$/.test(group.replace(/\\[wd.]/g, "")) &&
      !group.includes("[^")
    );
  });
}

/** Returns the text inside each capturing group, by number. */
function groupsOf(expression: string): string[] {
  const groups: string[] = [];
  const open: { readonly number: number; readonly from: number }[] = [];
  for (let at = 0; at < expression.length; at += 1) {
    const character = expression[at];
    if (character === "\\") at += 1;
    else if (character === "(") {
      const isCapturing = expression[at + 1] !== "?" || /^\(\?P?<\w/.test(expression.slice(at));
      open.push({ number: isCapturing ? groups.push("") - 1 : -1, from: at + 1 });
    } else if (character === ")") {
      const group = open.pop();
      if (group !== undefined && group.number >= 0) groups[group.number] = expression.slice(group.from, at);
    }
  }
  return groups;
}

const noResolver = locationRule(
  "no-resolver",
  "P7",
  "A host name in a variable needs a resolver.",
  (view, lint) => {
    const { authority, directive } = view.target;
    const name = /^\$\{?(\w+)\}?(?::\d+)?$/.exec(authority || directive.arg(0))?.[1];
    if (name === undefined || isPlaceholder(directive.arg(0)) || view.all("resolver").directives.length > 0)
      return;
    if (view.all("resolver").isUncertain) return;
    const host = literalOf(name, view.level);
    if (host === undefined || !needsResolver(host, view)) return;
    lint.reportStream(noResolver, view, {
      severity: "info",
      at: directive,
      message: `${host} is in a variable, so nginx resolves it for each request; without a resolver that is a 502`,
      remedy: "add resolver ADDRESS; in the server",
    });
  },
);

/** Returns the fixed value that `set` gives a variable, in the location or an outer level. */
function literalOf(name: string, level: Level): string | undefined {
  for (const each of level.outward()) {
    const set = each.own("set").find(({ args }) => args[0] === `$${name}`);
    if (set !== undefined) return isVariable(set.arg(1)) ? undefined : set.arg(1);
  }
  return undefined;
}

function needsResolver(value: string, view: View): boolean {
  const host = value.replace(/^[a-z]+:\/\//i, "").replace(/(?::\d+)?(?:\/.*)?$/, "");
  if (host === "" || host.startsWith("unix") || isIP(host.replace(/^\[|\]$/g, "")) !== 0) return false;
  return findUpstream(view.configuration, host) === undefined && view.configuration.isWhole;
}

export const PATH_RULES: readonly Rule[] = [
  doubleSlash,
  slashMissing,
  pathRewritten,
  queryLost,
  decodedPath,
  noResolver,
];
