import { expect, test, vi } from "vitest";
import { BackendRecord } from "../../../src/upstream/backend-record.ts";

test("a record tells since when a backend fails, with the last error", () => {
  const now = vi.spyOn(Date, "now");
  const record = new BackendRecord();
  expect([record.isTried, record.failing]).toEqual([false, undefined]);
  now.mockReturnValue(1000);
  record.fails("refused");
  now.mockReturnValue(2000);
  record.fails("reset");
  expect([record.isTried, record.failing]).toEqual([true, { reason: "reset", since: 1000 }]);
  record.answered();
  expect(record.failing).toBeUndefined();
  now.mockReturnValue(3000);
  record.fails("reset");
  expect(record.failing).toEqual({ reason: "reset", since: 3000 });
  now.mockRestore();
});

test("attempts are counted by result, without the prefix of error codes", () => {
  const record = new BackendRecord();
  record.answered();
  for (const result of ["backend_reset", "backend_reset", "client_gone"] as const) record.count(result);
  expect(Object.fromEntries(record.attempts)).toEqual({ success: 1, reset: 2, client_gone: 1 });
});
