/** What stands for a file's own part: that it loads, and its hooks. */
const OUTSIDE = "outside its tests";

/** What every test has come to, over the first run and the runs of single files behind it. */
export class Outcomes {
  /** By file and name: the states that a test was in, and the errors of what is outside the tests. */
  #entries = new Map();

  /** Adds the files of a run. */
  add(files) {
    for (const { file, errors, tests } of files) {
      this.#note(file, OUTSIDE, errors.length > 0 ? "failed" : "passed", errors);
      for (const { name, state } of numbered(tests)) this.#note(file, name, state, []);
    }
  }

  #note(file, name, state, errors) {
    const key = `${file}\n${name}`;
    const { states = new Set() } = this.#entries.get(key) ?? {};
    this.#entries.set(key, { file, name, states: states.add(state), errors });
  }

  #find(isFound) {
    return [...this.#entries.values()].filter(({ states }) => isFound(states));
  }

  #tests(isFound) {
    return this.#find(isFound).filter(({ name }) => name !== OUTSIDE);
  }

  /** What failed in each of its runs: tests, and files outside their tests. */
  failed() {
    return this.#find((states) => states.has("failed") && !states.has("passed"));
  }

  /** What failed in one run and passed in another. */
  flaky() {
    return this.#find((states) => states.has("failed") && states.has("passed"));
  }

  /** The files that failed in each run outside their tests, with the errors of the last. */
  broken() {
    return this.failed().filter(({ name }) => name === OUTSIDE);
  }

  passed() {
    return this.#tests((states) => states.has("passed"));
  }

  skipped() {
    return this.#tests((states) => !states.has("passed") && !states.has("failed"));
  }
}

/** Two tests of a file may have one name. */
function numbered(tests) {
  const seen = new Map();
  return tests.map(({ name, state }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return { name: count === 1 ? name : `${name} (${count})`, state };
  });
}
