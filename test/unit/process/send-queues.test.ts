import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { whenSent } from "../../../src/process/send-queues.ts";
import { eventually } from "../../support/eventually.ts";

/** More than the kernel's buffers of one connection take. */
const MANY_BYTES = 64 * 1024 * 1024;

async function connected(host: string): Promise<{ ours: Socket; theirs: Socket; close(): void }> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const theirs = connect({
    host: host === "::" ? "127.0.0.1" : host,
    port: (server.address() as AddressInfo).port,
  });
  const [ours] = (await once(server, "connection")) as [Socket];
  theirs.pause();
  return {
    ours,
    theirs,
    close: () => {
      for (const end of [ours, theirs, server]) "destroy" in end ? end.destroy() : end.close();
    },
  };
}

test.each(["127.0.0.1", "::1", "::"])(
  "a queue on %s counts as sent once the peer has it, and not before",
  async (host) => {
    const { ours, theirs, close } = await connected(host);
    try {
      ours.write(Buffer.alloc(MANY_BYTES));
      let isSent = false;
      whenSent(ours, () => {
        isSent = true;
      });
      // A dozen looks.
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(isSent).toBe(false);
      theirs.resume();
      await eventually(() => isSent || undefined, "the queue to be empty");
      expect(ours.writableLength).toBe(0);
    } finally {
      close();
    }
  },
);

test("the wait ends when the socket is destroyed", async () => {
  const { ours, close } = await connected("127.0.0.1");
  try {
    ours.on("error", () => {});
    ours.write(Buffer.alloc(MANY_BYTES));
    const sent = new Promise<void>((resolve) => whenSent(ours, resolve));
    ours.destroy();
    await sent;
  } finally {
    close();
  }
});
