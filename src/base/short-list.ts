type Callback = () => void;

/** An empty list of callbacks, shared by all that have none. */
export const NO_CALLBACKS: readonly Callback[] = [];

/**
 * Returns a list with one callback more. Most lists are short: `push` and spread reserve room for 17 on thousands of
 * streams, and a literal is made faster than `concat` makes a copy.
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
