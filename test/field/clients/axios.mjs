import axios from "axios";
import { readLines } from "../reading.mjs";
import { lines, scripted } from "../wires.mjs";

export const label = "`axios`, reading JSON lines";
export const backend = scripted(lines("application/jsonl"));

export async function read(url, { saw, signal }) {
  const options = { responseType: "stream", signal, validateStatus: null };
  const { status, data } = await axios.get(url, options);
  if (status !== 200) throw new Error(String(Buffer.concat(await data.toArray())));
  await readLines(data, saw);
}
