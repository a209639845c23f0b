import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./sluice-process.ts";

/** The place of a panel on the grid of 24 columns. */
interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Place;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
}

/** The dashboard for Grafana. */
export const DASHBOARD: Dashboard = JSON.parse(
  readFileSync(join(ROOT, "docker/observe/grafana/sluice.json"), "utf8"),
);

/** Whether two panels cover the same place. */
export function overlap({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

/** Returns a query as Grafana sends it for all instances and routes. */
export function filledIn(expr: string): string {
  const values = { job: "sluice", instance: ".*", route: ".*", __rate_interval: "1m", __range: "5m" };
  return expr.replaceAll(/\$(\w+)/g, (whole, name: string) => values[name as keyof typeof values] ?? whole);
}
