import type { Backend } from "./backend.ts";
import { eventually } from "./eventually.ts";
import type { GatewayFixture } from "./gateway.ts";
import { openRaw, type RawClient } from "./raw-client.ts";

/**
 * How a client's bytes are read. A line end before a request is not part of it (RFC 9112 section 2.2), and the fast
 * path leaves such a request to node:http; a last byte sent by itself makes the first read incomplete.
 */
export const WAYS = {
  "as it is": (bytes: Buffer) => [bytes],
  "by node:http": (bytes: Buffer) => [Buffer.concat([Buffer.from("\r\n"), bytes])],
  "in two reads": (bytes: Buffer) => [bytes.subarray(0, -1), bytes.subarray(-1)],
} as const;

/** The results on both sides of one client's connection, without parts that differ from run to run. */
export interface Outcome {
  readonly answer: string;
  readonly ending: string;
  readonly forwarded: readonly string[];
}

/** When the client ends its half: with its last byte, after the response, or after a second request. */
export type Leaving = "at once" | "after its response" | "in the end";

/** Long enough for an idle process to read the bytes. */
const PAUSE_MS = 3;

/** Polls often, because the tests wait for thousands of responses. */
const POLL = { everyMs: 1 };

const constant = (text: string): string =>
  text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}/gi, "ID")
    .replaceAll(/^Date: .+$/gim, "Date: NOW")
    .replaceAll(/for="?127\.0\.0\.1:\d+/g, "for=ME");

/** Whether the responses so far are complete; it knows only the forms in these tests. */
function isWhole(text: string, isHead: boolean): boolean {
  const end = text.lastIndexOf("\r\n\r\nHTTP/1.1 ");
  const last = end < 0 ? text : text.slice(end + 4);
  const at = last.indexOf("\r\n\r\n");
  if (at < 0 || !/^HTTP\/1\.1 [2-9]/.test(last)) return false;
  const head = last.slice(0, at);
  if (isHead || /^HTTP\/1\.1 (?:204|304)/.test(head)) return true;
  if (/^transfer-encoding: chunked/im.test(head)) return /\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(last);
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  return length !== undefined && last.length - at - 4 >= Number(length);
}

async function send(client: RawClient, parts: readonly Buffer[]): Promise<void> {
  for (const [at, part] of parts.entries()) {
    if (at > 0) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (client.socket.writable) client.send(part);
  }
}

/** Sends a request in one of the ways, a second one if `leaving` says so, and returns the results. */
export async function outcomeOf(
  { port, host }: GatewayFixture,
  backend: Backend,
  way: keyof typeof WAYS,
  bytes: Buffer,
  leaving: Leaving = "in the end",
): Promise<Outcome> {
  const before = backend.requests.length;
  const client = await openRaw(port);
  const isHead = bytes.toString("latin1").trimStart().startsWith("HEAD ");
  await send(client, WAYS[way](bytes));
  if (leaving === "at once") client.halfClose();
  const isOver = () => client.ending !== "open";
  await eventually(
    () => isOver() || isWhole(client.text, isHead),
    `an answer to ${JSON.stringify(bytes.toString("latin1"))}`,
    POLL,
  );
  if (!isOver()) {
    if (leaving === "in the end") {
      client.send(`GET /again HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    } else client.halfClose();
    await eventually(isOver, "the end after the last byte", POLL);
  }
  client.leave();
  return {
    answer: constant(client.text),
    ending: client.ending,
    forwarded: backend.requests.slice(before).map(({ head }) => constant(head.raw.toString("latin1"))),
  };
}
