import { readProgram } from "../reading.mjs";
import { lines, scripted } from "../wires.mjs";

const PROGRAM = `
import requests, sys
with requests.get(sys.argv[1], stream=True) as response:
    if not response.ok:
        sys.exit(response.text)
    for line in response.iter_lines(chunk_size=1):
        sys.stdout.buffer.write(line + b"\\n")
        sys.stdout.flush()
`;

export const packages = [];
export const label = "requests (Python)";
export const backend = scripted(lines("application/x-ndjson"));
export const read = (url, round) => readProgram("python3", ["-c", PROGRAM, url], round);
