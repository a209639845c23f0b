type Callback = () => void;

/** The empty list of callbacks; all owners share it. */
export const NO_CALLBACKS: readonly Callback[] = [];

/**
 * Returns the list with one more callback. Most lists are short: `push` and spread reserve room for 17 callbacks on
 * each of thousands of streams, and a literal is faster than the copy that `concat` makes.
 */
export function withOneMore(list: readonly Callback[], last: Callback): readonly Callback[] {
  const [first, second, third] = list;
  if (first === undefined) return [last];
  if (second === undefined) return [first, last];
  if (third === undefined) return [first, second, last];
  return list.concat(last);
}

/** Returns the list without the first occurrence of a callback. */
export function withoutOne(list: readonly Callback[], callback: Callback): readonly Callback[] {
  const at = list.indexOf(callback);
  return at < 0 ? list : list.toSpliced(at, 1);
}
