import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterTest } from "./after-test.ts";

/** The reply to a command: a status, an error, or data. */
export type OddReply =
  | { readonly status: string }
  | { readonly error: string }
  | { readonly raw: string }
  | number
  | string
  | null
  | readonly OddReply[];

/** A Redis whose replies the test chooses, because a real redis-server sends only valid ones. */
export async function startOddRedis(
  answer: (command: string, args: readonly string[]) => OddReply,
): Promise<{ readonly url: string; readonly commands: readonly string[] }> {
  const sockets = new Set<Socket>();
  const commands: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      for (let taken = takeCommand(text); taken !== undefined; taken = takeCommand(text)) {
        text = taken.rest;
        const [name = "", ...args] = taken.words;
        commands.push(name.toUpperCase());
        socket.write(spell(answer(name.toUpperCase(), args)), "latin1");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, commands };
}

/** Returns the first command in a text, if it is complete. */
function takeCommand(text: string): { readonly words: string[]; readonly rest: string } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  const words: string[] = [];
  let at = head[0].length;
  for (let left = Number(head[1]); left > 0; left--) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at, at + 20));
    if (size === null) return undefined;
    const from = at + size[0].length;
    const to = from + Number(size[1]);
    if (text.length < to + 2) return undefined;
    words.push(text.slice(from, to));
    at = to + 2;
  }
  return { words, rest: text.slice(at) };
}

function spell(reply: OddReply): string {
  if (reply === null) return "$-1\r\n";
  if (typeof reply === "number") return `:${reply}\r\n`;
  if (typeof reply === "string") return `$${reply.length}\r\n${reply}\r\n`;
  if ("status" in reply) return `+${reply.status}\r\n`;
  if ("error" in reply) return `-${reply.error}\r\n`;
  if ("raw" in reply) return reply.raw;
  return `*${reply.length}\r\n${reply.map(spell).join("")}`;
}
