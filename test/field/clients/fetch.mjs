import { readLines, succeeded } from "../reading.mjs";
import { lines, scripted } from "../wires.mjs";

export const packages = [];
export const label = "fetch of Node, reading NDJSON";
export const backend = scripted(lines("application/x-ndjson"));

export async function read(url, { saw, signal }) {
  const { body } = await succeeded(await fetch(url, { signal }));
  await readLines(body, saw);
}
