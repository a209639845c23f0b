import ky from "ky";
import { readLines } from "../reading.mjs";
import { lines, scripted } from "../wires.mjs";

export const label = "`ky`, reading a stream of JSON";
export const backend = scripted(lines("application/stream+json"));

export async function read(url, { saw, signal }) {
  const { body } = await ky(url, { signal, retry: 0 }).catch(async (error) => {
    throw new Error((await error.response?.text()) ?? error.message);
  });
  await readLines(body, saw);
}
