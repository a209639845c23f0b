import type { ReadProblem } from "../../configuration.ts";
import type { Directive } from "../../directive.ts";
import { type DirectiveType, directiveTable } from "../../directive-table.ts";
import type { Level } from "../../level.ts";
import { formatVersion, isAtLeast, SINCE } from "../../version.ts";
import { insertAfter, removeWord } from "../edits.ts";
import type { Edit, Fix, Range, Report } from "../finding.ts";
import type { Lint } from "../lint.ts";
import { configurationRule, type Rule } from "../rule.ts";
import { didYouMean, isThirdParty } from "./third-party.ts";

const STARTS_NOT = "nginx does not start";

const rangeOf = ({ file, offset }: ReadProblem): Range => ({
  file,
  start: offset,
  end: Math.min(offset + 1, file.text.length),
});

const syntax = configurationRule("syntax", "P14", "nginx does not start.", (lint) => {
  for (const problem of lint.configuration.problems) {
    const isTemplate = problem.kind === "template";
    if (problem.kind !== "syntax" && !isTemplate) continue;
    const isMark = problem.file.hasByteOrderMark && problem.offset === 0;
    lint.report(syntax, {
      severity: isTemplate ? "warning" : "error",
      at: rangeOf(problem),
      message: isTemplate ? problem.message : `${STARTS_NOT}: ${problem.message}`,
      remedy: isTemplate
        ? "lint the rendered file"
        : isMark
          ? "save the file without it"
          : "correct this place",
      fix: isMark ? { edits: [{ file: problem.file, from: 0, to: 1, text: "" }], changes: [] } : undefined,
    });
  }
  const templates = new Set(
    lint.configuration.problems.filter(({ kind }) => kind === "template").map(({ file }) => file),
  );
  eachDirective(lint, (directive, level) => {
    if (templates.has(directive.file)) return;
    const message = wrongArguments(directive, level);
    if (message === undefined) return;
    const report: Report = {
      severity: "error",
      at: directive,
      message: `${STARTS_NOT}: ${message}`,
      remedy: "see the documentation of the directive",
    };
    lint.report(syntax, report);
  });
});

/** Returns nginx's name for a context; undefined for blocks that the table does not cover. */
function contextOf(level: Level): string | undefined {
  if (level.kind === "if") return `if in ${level.outer?.kind ?? "location"}`;
  const isTold = !["values", "other", "mail", "mail server", "stream upstream"].includes(level.kind);
  return isTold ? level.kind : undefined;
}

/** Visits every directive in a context that the table covers. */
function eachDirective(
  lint: Lint,
  visit: (directive: Directive, level: Level, context: string) => void,
): void {
  for (const level of lint.configuration.main.inward()) {
    const context = contextOf(level);
    if (context === undefined) continue;
    for (const directive of level.directives) visit(directive, level, context);
  }
}

const typesIn = (name: string, context: string): readonly DirectiveType[] =>
  (directiveTable().get(name) ?? []).filter(
    ({ contexts }) => contexts.length === 0 || contexts.includes(context),
  );

/** Returns nginx's message about wrong arguments; undefined if they are right. */
function wrongArguments(directive: Directive, level: Level): string | undefined {
  const { name, args, block } = directive;
  const types = typesIn(name, contextOf(level) ?? "");
  if (types.length === 0 || directive.hasPlaceholder) return undefined;
  const takesBlock = types.some((type) => type.args.includes("block"));
  const takesNone = types.some((type) => !type.args.includes("block"));
  if (block !== undefined && !takesBlock) return `directive "${name}" is not terminated by ";"`;
  if (block === undefined && !takesNone) return `directive "${name}" has no opening "{"`;
  const fitting = types.filter((type) => type.args.includes("block") === (block !== undefined));
  if (!fitting.some((type) => takesCount(type, args.length))) {
    return `invalid number of arguments in "${name}" directive`;
  }
  const isFlag = fitting.every((type) => type.args.includes("flag"));
  if (!isFlag || /^(?:on|off)$/i.test(args[0] ?? "")) return undefined;
  return `invalid value "${args[0]}" in "${name}" directive, it must be "on" or "off"`;
}

function takesCount({ args }: DirectiveType, count: number): boolean {
  return args.some((rule) => {
    if (rule === "noargs") return count === 0;
    if (rule === "flag") return count === 1;
    if (rule === "1more") return count >= 1;
    if (rule === "2more") return count >= 2;
    return rule.startsWith("take") && rule.includes(String(count)) && count > 0;
  });
}

/** The files that every nginx package contains. */
const OF_PACKAGE = /(?:^|\/)(?:mime\.types|(?:fastcgi|scgi|uwsgi)_params|fastcgi\.conf) /;

const includeNotFound = configurationRule(
  "include-not-found",
  "",
  "An included file cannot be read.",
  (lint) => {
    for (const problem of lint.configuration.problems) {
      if (problem.kind !== "missing" && problem.kind !== "unreadable") continue;
      // The includes of a fragment are on its own machine, and some files come with nginx.
      const isExpected =
        problem.kind === "missing" && (!lint.configuration.isWhole || OF_PACKAGE.test(problem.message));
      lint.report(includeNotFound, {
        severity: isExpected ? "info" : "warning",
        at: rangeOf(problem),
        message: problem.message,
        remedy: "use --root DIR for relative includes, --map FROM=TO for a copy of a machine's files",
      });
    }
  },
);

const notAllowedHere = configurationRule(
  "not-allowed-here",
  "P13",
  "nginx does not start: a directive is in the wrong block.",
  (lint) => {
    eachDirective(lint, (directive, level, context) => {
      const { name } = directive;
      // The context of a fragment is a guess.
      const isGuess = level.directive === undefined && !lint.configuration.isWhole;
      if (isGuess || !directiveTable().has(name) || typesIn(name, context).length > 0) return;
      lint.report(notAllowedHere, {
        severity: "error",
        at: directive,
        message: `${STARTS_NOT}: "${name}" is not allowed in ${context}`,
        remedy: `move it to ${allContexts(name)}`,
      });
    });
  },
);

const allContexts = (name: string): string => {
  const types = directiveTable().get(name) ?? [];
  return [...new Set(types.flatMap(({ contexts }) => contexts))].join(", ");
};

const unknownDirective = configurationRule(
  "unknown-directive",
  "",
  "No nginx module has this directive.",
  (lint) => {
    eachDirective(lint, (directive) => {
      const { name } = directive;
      if (directiveTable().has(name) || isThirdParty(name) || directive.hasPlaceholder) return;
      const meant = didYouMean(name);
      lint.report(unknownDirective, {
        severity: meant === undefined ? "info" : "warning",
        at: directive,
        message: `no nginx module has ${name}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
        remedy: meant ?? "load the third-party module that has it, or correct the name",
      });
    });
  },
);

const needsNewerNginx = configurationRule(
  "needs-newer-nginx",
  "D30 W9",
  "nginx does not start: it is too old for a directive.",
  (lint) => {
    eachDirective(lint, (directive, _level, context) => {
      const since = neededVersion(directive, context);
      if (since === undefined || isAtLeast(lint.version, since)) return;
      lint.report(needsNewerNginx, {
        severity: "error",
        at: directive,
        message: `${STARTS_NOT}: ${directive.name} ${directive.value} needs nginx ${formatVersion(since)}, but this is ${formatVersion(lint.version)}`,
        remedy: "install a newer nginx, or name yours with --nginx VERSION",
      });
    });
  },
);

/** Returns the first version that has a directive with this value. */
export function neededVersion({ name, args }: Directive, context: string) {
  if (name === "proxy_http_version" && args[0] === "2") return SINCE.http2Upstream;
  const types = typesIn(name, context);
  const oldest = types.every(({ since }) => since !== undefined) ? types : [];
  return oldest.map(({ since }) => since).find((since) => since !== undefined);
}

const listenHttp2Deprecated = configurationRule(
  "listen-http2-deprecated",
  "",
  "http2 in listen is deprecated since 1.25.1.",
  (lint) => {
    if (!isAtLeast(lint.version, SINCE.http2Directive)) return;
    for (const level of lint.configuration.main.inward()) {
      if (level.kind !== "server") continue;
      const listens = level.own("listen").filter(({ args }) => args.includes("http2"));
      const [at] = listens;
      if (at === undefined) continue;
      lint.report(listenHttp2Deprecated, {
        severity: "info",
        at,
        message: "http2 in listen is deprecated since 1.25.1",
        remedy: "http2 on;",
        fix: withDirective(level, listens),
      });
    }
  },
);

function withDirective(server: Level, listens: readonly Directive[]): Fix {
  const words = listens.flatMap((listen) => listen.words.filter(({ value }) => value === "http2"));
  const edits: Edit[] = words.map(removeWord);
  const last = server.own("listen").at(-1);
  if (last !== undefined && server.own("http2").length === 0) edits.push(insertAfter(last, "http2 on;"));
  return { edits, changes: ["listen", "http2"] };
}

/** The structural rules: they alone run after a syntax error, because the others need the whole configuration. */
export const STRUCTURE_RULES: readonly Rule[] = [
  syntax,
  includeNotFound,
  notAllowedHere,
  unknownDirective,
  needsNewerNginx,
  listenHttp2Deprecated,
];
