import { execFileSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { beforeAll, expect, test, vi } from "vitest";
import { closeUndelivered } from "../../../../src/process/internals/undelivered-connections.ts";

interface Talk {
  readonly sent: readonly { readonly key: string; readonly seq: number; readonly close: string }[];
  readonly received: readonly { readonly cmd: string; readonly ack?: number; readonly accepted?: boolean }[];
  readonly echo: string;
}

let talk: Talk;
beforeAll(() => {
  const script = new URL("../../../support/cluster-messages.mjs", import.meta.url).pathname;
  talk = JSON.parse(execFileSync(process.execPath, [script], { encoding: "utf8", timeout: 30_000 }));
});

test("node:cluster sends each connection with its listener's key, a number and a handle that can be closed", () => {
  expect(talk.sent).toHaveLength(2);
  for (const { key, seq, close } of talk.sent) {
    expect(key).toBe("string");
    expect(seq).toBeTypeOf("number");
    expect(close).toBe("function");
  }
});

test("a worker acknowledges each handle, and answers each message by its number", () => {
  expect(talk.received.filter(({ cmd }) => cmd === "NODE_HANDLE_ACK")).toHaveLength(2);
  const answers = talk.received.filter(({ accepted }) => accepted === true);
  expect(answers.map(({ cmd, ack }) => [cmd, ack])).toEqual(
    talk.sent.map(({ seq }) => ["NODE_CLUSTER", seq]),
  );
});

test("closing the primary's handle of a connection that a worker has taken has no effect", () => {
  expect(talk.echo).toBe("again");
});

/** A worker as the primary sees it, without a process. */
function fakeWorker() {
  const channel = Object.assign(new EventEmitter(), { send: vi.fn() });
  const worker = Object.assign(new EventEmitter(), { process: channel });
  closeUndelivered(worker as never, (error) => expect.unreachable(String(error)));
  const give = (key: string, seq: number) => {
    const handle = { close: vi.fn() };
    (channel.send as (...args: unknown[]) => void)({ act: "newconn", key, seq }, handle);
    return handle;
  };
  return { channel, worker, give };
}

test("a connection that is not acknowledged is closed and counts as answered", () => {
  const { channel, give } = fakeWorker();
  const messages: unknown[] = [];
  channel.on("internalMessage", (message) => messages.push(message));
  const [first, second] = [give("a", 1), give("b", 2)];
  channel.emit("internalMessage", { cmd: "NODE_HANDLE_ACK" });
  channel.emit("internalMessage", { cmd: "NODE_HANDLE_NACK" });
  expect(first.close).not.toHaveBeenCalled();
  expect(second.close).toHaveBeenCalledOnce();
  expect(messages).toContainEqual({ cmd: "NODE_CLUSTER", ack: 2, accepted: true });
});

test("the last connection of each listener is closed when the worker exits", () => {
  const { worker, give } = fakeWorker();
  const [old, last, other] = [give("a", 1), give("a", 2), give("b", 3)];
  worker.emit("exit");
  expect(old.close).not.toHaveBeenCalled();
  expect(last.close).toHaveBeenCalledOnce();
  expect(other.close).toHaveBeenCalledOnce();
});
