import { insertAfter } from "../edits.ts";
import type { Lint } from "../lint.ts";
import { configurationRule, type Rule } from "../rule.ts";
import { isField, type View } from "../view.ts";
import { BUFFER, ownOr } from "./buffering.ts";

const ACCEL = "X-Accel-Buffering";
const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "localhost", "[::1]"]);

const secondHop = configurationRule(
  "second-hop",
  "D14 D15",
  "The inner nginx removes X-Accel-Buffering, so the outer nginx buffers.",
  (lint) => {
    const fronts = bufferingFronts(lint);
    for (const view of lint.views) {
      if (view.sluice !== undefined && view.carries !== "none" && !passesAccel(view))
        report(view, fronts, lint);
    }
  },
);

/** Returns the buffering locations by the server that they proxy to. */
function bufferingFronts({ views }: Lint): ReadonlyMap<string, View> {
  const fronts = new Map<string, View>();
  for (const view of views) {
    if (!view.isBuffered) continue;
    for (const server of view.target.servers) {
      if (!fronts.has(server)) fronts.set(server, view);
      const [host = "", port] = server.split(/:(?=\d+$)/);
      if (LOOPBACK.has(host) && !fronts.has(`:${port}`)) fronts.set(`:${port}`, view);
    }
  }
  return fronts;
}

/** Reports a location that removes sluice's X-Accel-Buffering although a server in front of it needs the field. */
function report(inner: View, fronts: ReadonlyMap<string, View>, lint: Lint): void {
  const listens = inner.listening?.directives.map(({ args }) => args[0]?.toLowerCase() ?? "") ?? [];
  const found = listens.map((listen) => fronts.get(listen) ?? fronts.get(`:${listen.split(":").at(-1)}`));
  const front = found.find((view) => view !== undefined && view !== inner);
  if (front === undefined) return;
  const line = `proxy_pass_header ${ACCEL};`;
  const isReported = lint.reportStream(secondHop, inner, {
    severity: "warning",
    at: ownOr(inner, undefined),
    message: `${front.location.label} of ${front.server?.label ?? "another server"} in front buffers, because this nginx removes ${ACCEL}`,
    cause: front.explain(front.own("buffering")),
    remedy: line,
    fix: { edits: [insertAfter(inner.target.directive, line)], changes: ["proxy_pass_header"] },
  });
  if (isReported) front.claim(BUFFER);
}

const passesAccel = (view: View): boolean =>
  view.addedField(ACCEL) !== undefined ||
  view.all("proxy_pass_header").directives.some(({ args }) => isField(args[0], ACCEL));

export const SECOND_HOP_RULES: readonly Rule[] = [secondHop];
