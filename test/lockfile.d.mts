/** The part of a lockfile's entry that says which builds it may need. */
interface LockEntry {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export function missingEntries(
  packages: Readonly<Record<string, unknown>>,
): { readonly name: string; readonly version: string; readonly entry: LockEntry }[];
