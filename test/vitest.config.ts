import { suiteOf } from "./runner/suite.ts";

/** Every test. */
export default suiteOf(["unit", "integration", "security", "e2e"], (project) => [
  `test/${project}/**/*.test.ts`,
]);
