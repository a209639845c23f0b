import { expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import { Account } from "../../../src/exchange/account.ts";

test("the first noted reason stands, and a client that left gives 499", () => {
  const account = new Account();
  account.headSent(200);
  account.endsWith("client_gone");
  account.endsWith("backend_failed");
  expect(account.settle("completed")).toBe("client_gone");
  expect([account.status, account.logLevel]).toEqual([499, "info"]);
});

test("without a noted reason the reason of the end stands", () => {
  const account = new Account();
  account.headSent(200);
  expect(account.settle("completed")).toBe("completed");
  expect(account.status).toBe(200);
});

test("the first error stands, until a refusal replaces it", () => {
  const account = new Account();
  const refusal = new ProxyError("no_route", "no route matches");
  account.noteError("first");
  account.noteError("second");
  expect(account.error).toBe("first");
  account.replaceError(refusal);
  expect(account.error).toBe(refusal);
});

test("a refusal is expected, any other error is a fault and logged as an error", () => {
  const refused = new Account();
  refused.headSent(404);
  refused.noteError(new ProxyError("no_route", "no route matches"));
  expect([refused.isFaulty, refused.logLevel]).toEqual([false, "info"]);
  const faulty = new Account();
  faulty.noteError(new TypeError("x is undefined"));
  expect([faulty.isFaulty, faulty.logLevel]).toEqual([true, "error"]);
});

test("a failed backend and a status from 500 on are logged as a warning", () => {
  const failed = new Account();
  failed.headSent(200);
  failed.settle("backend_failed");
  const refused = new Account();
  refused.headSent(503);
  refused.settle("completed");
  expect([failed.logLevel, refused.logLevel]).toEqual(["warn", "warn"]);
});

test("events are undefined for an ordinary response, and counted from 0 for a stream", () => {
  const ordinary = new Account();
  ordinary.addBytes(3);
  ordinary.addBytes(4);
  expect([ordinary.bytesSent, ordinary.events, ordinary.isStream]).toEqual([7, undefined, false]);
  const stream = new Account();
  stream.streamOpened();
  expect([stream.events, stream.firstEventMs, stream.isStream]).toEqual([0, undefined, true]);
  stream.addEvents(2);
  stream.addEvents(1);
  expect([stream.events, typeof stream.firstEventMs]).toEqual([3, "number"]);
});

test("the counts of a relay are read instead of the account's own", () => {
  const account = new Account();
  const relay = { bytesSent: 0, events: 0 };
  account.countedBy(relay);
  relay.bytesSent = 10;
  relay.events = 2;
  expect([account.bytesSent, account.events]).toEqual([10, 2]);
});
