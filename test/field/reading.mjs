import { spawn } from "node:child_process";
import { once } from "node:events";
import { TEXT } from "./script.mjs";

/** Calls `saw` with the text of each line `{"text":"…"}` of an iterable of bytes. */
export async function readLines(chunks, saw) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const found = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = found.pop();
    for (const line of found) saw(JSON.parse(line).text);
  }
}

/** Rejects with the text of the body if the response is an error. */
export async function succeeded(response) {
  if (!response.ok) throw new Error(await response.text());
  return response;
}

/** Reads a stream of `events` from anything with the interface of EventSource. It has no end of its own. */
export function readEventSource(source, { saw, signal }) {
  let text = "";
  return new Promise((resolve, reject) => {
    const close = () => {
      source.close();
      resolve();
    };
    signal.addEventListener("abort", close);
    source.onmessage = ({ data }) => {
      text += JSON.parse(data);
      saw(JSON.parse(data));
      if (text === TEXT) close();
    };
    source.onerror = (error) => {
      source.close();
      reject(new Error(error.message ?? error.statusText ?? "error"));
    };
  });
}

/** Runs a program that prints the lines as they come, and an error's text anywhere. */
export async function readProgram(command, args, { saw, signal }) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  signal.addEventListener("abort", () => child.kill());
  let printed = "";
  for (const output of [child.stdout, child.stderr]) output.on("data", (bytes) => (printed += bytes));
  await readLines(child.stdout, saw).catch(() => undefined);
  const [code] = await ended;
  if (code !== 0) throw new Error(printed);
}
