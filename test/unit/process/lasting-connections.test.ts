import type { Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LastingConnections } from "../../../src/process/lasting-connections.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const socketThatIsAsked = () => {
  const setKeepAlive = vi.fn();
  return { setKeepAlive, socket: { setKeepAlive } as unknown as Socket };
};

test("a connection that lasts gets keep-alive once, after 15 s and before 30 s", () => {
  const connections = new LastingConnections();
  const [first, second] = [socketThatIsAsked(), socketThatIsAsked()];
  connections.add(first.socket);
  vi.advanceTimersByTime(10_000);
  connections.add(second.socket);
  vi.advanceTimersByTime(14_000);
  expect([first, second].map(({ setKeepAlive }) => setKeepAlive.mock.calls)).toEqual([[], []]);
  vi.advanceTimersByTime(16_000);
  expect(first.setKeepAlive.mock.calls).toEqual([[true, 60_000]]);
  vi.advanceTimersByTime(600_000);
  expect(first.setKeepAlive).toHaveBeenCalledTimes(1);
  expect(second.setKeepAlive.mock.calls).toEqual([[true, 60_000]]);
});

test("a closed connection gets none, and without connections there is no timer", () => {
  const connections = new LastingConnections();
  const [young, older] = [socketThatIsAsked(), socketThatIsAsked()];
  connections.add(older.socket);
  vi.advanceTimersByTime(16_000);
  connections.add(young.socket);
  connections.delete(young.socket);
  connections.delete(older.socket);
  vi.advanceTimersByTime(60_000);
  expect(young.setKeepAlive).not.toHaveBeenCalled();
  expect(older.setKeepAlive).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
