/** The outcome of each check: "yes", "late", "hidden", or the reason of a failure. */
type Checks = Readonly<Record<string, string>>;

/** The result of one client or application: setting -> way -> check. */
interface Result {
  readonly label: string;
  readonly packages: readonly string[];
  /** The setting without which it does not work by design. */
  readonly needs?: string;
  readonly settings: Readonly<Record<string, Readonly<Record<string, Checks>>>>;
}

/** The part of a result that is saved: for each way "works", "late", "no" or the setting with which it works. */
interface Row {
  readonly label: string;
  readonly packages: readonly string[];
  readonly ways: Readonly<Record<string, string>>;
}

export function summary(result: Result): Row;
export function problems(name: string, result: Result): readonly string[];
export function differences(name: string, result: Result, saved: Partial<Row>): readonly string[];
export function savedRows(folder: "clients" | "applications"): readonly Row[];
export function table(rows: readonly Row[]): string;
