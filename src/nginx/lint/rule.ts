import type { Lint, RuleFacts } from "./lint.ts";
import type { View } from "./view.ts";

/** A check with an id that users name in `--only`, `--off` and comments. */
export interface Rule extends RuleFacts {
  /** What the rule warns of, in one sentence. */
  readonly summary: string;
  check(lint: Lint): void;
}

/** A rule that looks at one proxied location after the other, those that only nginx itself asks left out. */
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

/** A rule about locations that are taken to carry event streams: WebSockets are no concern of it. */
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

/** A rule that looks at the configuration as a whole. */
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
