import { readProgram } from "../reading.mjs";
import { lines, scripted } from "../wires.mjs";

export const packages = [];
export const label = "curl, reading an HTML page";
export const backend = scripted(lines("text/html; charset=utf-8"));
export const read = (url, round) => readProgram("curl", ["-sSN", "--fail-with-body", url], round);
