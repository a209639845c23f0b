import { quickFiles } from "./runner/quick-files.ts";
import { suiteOf } from "./runner/suite.ts";

/** What a minute is enough for: `npm run test:quick`. */
export default suiteOf(["unit", "integration", "security"], quickFiles);
