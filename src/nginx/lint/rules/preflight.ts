import type { Directive } from "../../directive.ts";
import { effectiveFields } from "../../effective.ts";
import type { Level } from "../../level.ts";
import type { NginxVersion } from "../../version.ts";
import { insertAfter, rawText, removeDirective } from "../edits.ts";
import type { Fix, Severity } from "../finding.ts";
import { locationRule, type Rule } from "../rule.ts";
import { isField, type View } from "../view.ts";

/** Returns the `if ($request_method = OPTIONS)` blocks with a `return`, of a location or server. */
export const preflightBlocks = (level: Level): Level[] =>
  level.levels.slice(0, MAX_BLOCKS).filter(isPreflight);

const isPreflight = ({ kind, directive, directives }: Level): boolean =>
  kind === "if" && isAboutOptions(directive) && directives.some(({ name }) => name === "return");

/** The maximum number of blocks of one location: each is compared with all before it. */
const MAX_BLOCKS = 100;

function isAboutOptions(directive: Directive | undefined): boolean {
  const condition = directive?.value ?? "";
  return condition.includes("$request_method") && /\bOPTIONS\b/.test(condition) && !condition.includes("!");
}

/** Whether nginx answers preflights before it authenticates: a `return`, also in an `if`, comes first. */
export function answersPreflight(location: Level): boolean {
  for (const level of location.outward()) if (preflightBlocks(level).length > 0) return true;
  return location.directives.some(({ name }) => name === "return");
}

const namesOf = (fields: readonly Directive[]): string[] => fields.map(({ args }) => args[0] ?? "");
export const isCors = (name: string): boolean => /^access-control-/i.test(name);
export const isSecurity = (name: string): boolean =>
  /^(?:strict-transport-security|content-security-policy|x-frame-options|x-content-type-options|referrer-policy|permissions-policy|cross-origin-.*)$/i.test(
    name,
  );

/** Returns the lines that a level would inherit without its own. */
const inheritedLines = ({ outer }: Level, version: NginxVersion): readonly Directive[] =>
  outer === undefined ? [] : effectiveFields(outer, "add_header", version).directives;

/** Returns the fields that a level would inherit, but overrides and does not set again. */
export function lostFields(level: Level, version: NginxVersion): string[] {
  if (level.own("add_header").length === 0) return [];
  const kept = namesOf(effectiveFields(level, "add_header", version).directives);
  const inherited = namesOf(inheritedLines(level, version));
  return [...new Set(inherited.filter((name) => !kept.some((other) => isField(other, name))))];
}

const severityOf = (lost: readonly string[], cors: Severity, security: Severity): Severity => {
  if (lost.some(isCors)) return cors;
  return lost.some(isSecurity) ? security : "info";
};

const preflightLosesFields = locationRule(
  "preflight-loses-fields",
  "H4",
  "The response to a preflight lacks the location's fields.",
  (view, lint) => {
    for (const block of preflightBlocks(view.location)) {
      const [at] = block.own("add_header");
      const lost = lostFields(block, lint.version);
      if (at === undefined || lost.length === 0) continue;
      const all = [...block.own("add_header").map(({ args }) => args[0] ?? ""), ...lost];
      const hasOrigin = block
        .own("add_header")
        .some(({ args }) => isField(args[0], "Access-Control-Allow-Origin"));
      if (hasOrigin && !lost.some(isNeededByPreflight)) continue;
      lint.reportStream(preflightLosesFields, view, {
        severity: severityOf(lost, "error", "info"),
        at,
        message: `this block sends only its own fields: the response lacks ${lost.join(", ")}`,
        remedy: `set all of ${all.join(", ")} here, or none`,
        fix: repeatIn(block, lint.version),
      });
    }
  },
);

/** Adds the lost outer lines after the block's own. */
function repeatIn(block: Level, version: NginxVersion): Fix | undefined {
  const last = block.last("add_header");
  const lost = lostFields(block, version);
  const lines = inheritedLines(block, version).filter(({ args }) =>
    lost.some((name) => isField(args[0], name)),
  );
  if (last === undefined) return undefined;
  return { edits: lines.map((line) => insertAfter(last, rawText(line))), changes: ["add_header"] };
}

/** Whether a browser needs the field in the response to a preflight; unlike Vary, for example. */
const isNeededByPreflight = (name: string): boolean =>
  /^access-control-allow-(?:origin|methods|headers|credentials)$/i.test(name);

const fieldsLostInIf = locationRule(
  "fields-lost-in-if",
  "H4 H5 P12",
  "An if with add_header sends only its own fields.",
  (view, lint) => {
    const blocks = view.location.levels.slice(0, MAX_BLOCKS);
    for (const block of blocks) {
      const [at] = block.own("add_header");
      if (block.kind !== "if" || at === undefined || isPreflight(block)) continue;
      const others = earlierBlocks(blocks, block).flatMap((level) => level.own("add_header"));
      const lost = [...new Set([...lostFields(block, lint.version), ...missing(others, block)])];
      if (lost.length === 0 || block.own("return").length > 0) continue;
      lint.reportStream(fieldsLostInIf, view, {
        severity: severityOf(lost, "error", "info"),
        at,
        message: `if this condition is true, nginx sends only the fields of this block, without ${lost.join(", ")}`,
        remedy: "repeat them here, or set the value with a map",
      });
    }
  },
);

/** Returns the earlier `if`s that may match together with a block; those on the same variable exclude one another. */
function earlierBlocks(blocks: readonly Level[], block: Level): Level[] {
  const variable = variableOf(block);
  return blocks
    .slice(0, blocks.indexOf(block))
    .filter((level) => level.kind === "if" && level.own("return").length === 0)
    .filter((level) => variableOf(level) !== variable);
}

const variableOf = ({ directive }: Level): string | undefined => /\$\w+/.exec(directive?.value ?? "")?.[0];

const missing = (others: readonly Directive[], block: Level): string[] =>
  namesOf(others).filter((name) => !namesOf(block.own("add_header")).some((own) => isField(own, name)));

const preflightAnsweredHere = locationRule(
  "preflight-answered-here",
  "H7",
  "nginx answers preflights without CORS fields; sluice would answer them with these fields.",
  (view, lint) => {
    if (view.sluice === undefined) return;
    if (view.routes !== undefined && !view.routes.some(({ hasCors }) => hasCors)) return;
    const [block] = [...preflightBlocks(view.location), ...(view.server ? preflightBlocks(view.server) : [])];
    if (block?.directive === undefined) return;
    const fields = effectiveFields(block, "add_header", lint.version).directives;
    if (namesOf(fields).some(isCors)) return;
    lint.report(preflightAnsweredHere, {
      severity: "warning",
      at: block.directive,
      location: view.location,
      message:
        "nginx answers preflights here without CORS fields; sluice would answer them with these fields",
      remedy: "remove the block",
      fix: { edits: [removeDirective(block.directive)], changes: ["if", "return"] },
    });
  },
);

const fieldsLost = locationRule(
  "fields-lost",
  "H3",
  "One add_header in a location overrides all those of outer levels.",
  (view, lint) => {
    const [at] = view.location.own("add_header");
    const lost = lostFields(view.location, lint.version);
    if (at === undefined || lost.length === 0) return;
    lint.reportStream(fieldsLost, view, {
      severity: severityOf(lost, "warning", "warning"),
      at,
      message: `this overrides the outer add_header: nginx no longer sends ${lost.join(", ")}`,
      cause: causeOf(view, lint.version),
      remedy: "repeat them here, or, since nginx 1.29.3, add_header_inherit merge;",
    });
  },
);

/** Returns the places that set the lost fields. */
function causeOf({ location }: View, version: NginxVersion): string {
  const places = inheritedLines(location, version).map(({ at }) => at);
  return `set at ${[...new Set(places)].slice(0, 5).join(", ")}`;
}

export const PREFLIGHT_RULES: readonly Rule[] = [
  preflightAnsweredHere,
  preflightLosesFields,
  fieldsLostInIf,
  fieldsLost,
];
