import got from "got";
import { readLines } from "../reading.mjs";
import { lines, scripted } from "../wires.mjs";

export const label = "`got`, reading a JSON sequence";
export const backend = scripted(lines("application/json-seq"));

export async function read(url, { saw, signal }) {
  const stream = got.stream(url, { signal, retry: { limit: 0 } });
  await readLines(stream, saw).catch((error) => {
    throw new Error(error.response?.body ?? error.message);
  });
}
