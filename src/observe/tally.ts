/** Counts by route and a second label, as plain numbers: prom-client checks and joins the labels at each increment. */
export class Tally<Label extends string | number> {
  readonly #counts = new Map<string, Map<Label, number>>();

  add(route: string, label: Label, count = 1): void {
    let counts = this.#counts.get(route);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(route, counts);
    }
    counts.set(label, (counts.get(label) ?? 0) + count);
  }

  *[Symbol.iterator](): Iterator<{ readonly route: string; readonly label: Label; readonly count: number }> {
    for (const [route, counts] of this.#counts)
      for (const [label, count] of counts) yield { route, label, count };
  }
}
