import type { Lint, RuleFacts } from "./lint.ts";
import type { View } from "./view.ts";

/** A check; users name its id in `--only`, `--off` and comments. */
export interface Rule extends RuleFacts {
  /** The problem that the rule reports, in one sentence. */
  readonly summary: string;
  check(lint: Lint): void;
}

/** Creates a rule that checks each proxied location, without internal ones. */
export function locationRule(
  id: string,
  facts: string,
  summary: string,
  check: (view: View, lint: Lint) => void,
): Rule {
  return {
    ...describe(id, facts, summary),
    check: (lint) => {
      for (const view of lint.views) if (view.carries !== "none") check(view, lint);
    },
  };
}

/** Creates a rule about locations that may carry event streams, without WebSockets. */
export function streamRule(
  id: string,
  facts: string,
  summary: string,
  check: (view: View, lint: Lint) => void,
): Rule {
  return locationRule(id, facts, summary, (view, lint) => {
    if (view.carries !== "websocket") check(view, lint);
  });
}

/** Creates a rule that checks the configuration as a whole. */
export const configurationRule = (
  id: string,
  facts: string,
  summary: string,
  check: (lint: Lint) => void,
): Rule => ({ ...describe(id, facts, summary), check });

const describe = (id: string, facts: string, summary: string) => ({
  id,
  summary,
  facts: facts === "" ? [] : facts.split(" "),
});
