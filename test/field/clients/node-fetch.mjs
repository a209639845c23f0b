import fetch from "node-fetch";
import { readLines, succeeded } from "../reading.mjs";
import { lines, scripted } from "../wires.mjs";

export const label = "`node-fetch`, reading plain text";
export const backend = scripted(lines("text/plain; charset=utf-8"));

export async function read(url, { saw, signal }) {
  const { body } = await succeeded(await fetch(url, { signal }));
  await readLines(body, saw);
}
