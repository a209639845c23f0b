import { quickFiles } from "./runner/quick-files.ts";
import { suiteOf } from "./runner/suite.ts";

/** The tests of `npm run test:quick`, which take about a minute. */
export default suiteOf(["unit", "integration", "security"], quickFiles);
