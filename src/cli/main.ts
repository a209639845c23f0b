#!/usr/bin/env node
import { keepYoungGenerationSmall } from "../process/internals/young-generation.ts";

keepYoungGenerationSmall();
// Behind it, as it is the loading of all the rest that makes the space grow first.
await import("./run.ts");
