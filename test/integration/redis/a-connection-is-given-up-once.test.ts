import { expect, test } from "vitest";
import { createLog } from "../../../src/observe/log.ts";
import { RedisConnection } from "../../../src/redis/connection.ts";
import { RedisFaults } from "../../../src/redis/faults.ts";
import { afterTest } from "../../support/after-test.ts";
import { eventually } from "../../support/eventually.ts";
import { startRedis } from "../../support/redis.ts";

test("a connection with many commands without a reply is dropped once, and a new one is made", async () => {
  const redis = await startRedis();
  const errors: unknown[] = [];
  const log = createLog({ level: "silent", format: "json" });
  const faults = new RedisFaults(log, (error) => errors.push(error));
  const connection = new RedisConnection(
    { target: { url: redis.url, options: {} }, name: "test", timeoutMs: 200 },
    faults,
  );
  afterTest(() => connection.close());
  await eventually(() => connection.isReady, "a connection");
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  afterTest(() => void process.off("warning", onWarning));
  redis.freeze();
  const answers = await Promise.allSettled(Array.from({ length: 50 }, () => connection.command("PING", [])));
  expect(answers.every(({ status }) => status === "rejected")).toBe(true);
  redis.thaw();
  await eventually(() => connection.isReady, "another connection");
  expect(String(await connection.command("PING", []))).toBe("PONG");
  // Before, each command dropped the socket again, and Node printed a MaxListenersExceededWarning.
  expect(warnings).toEqual([]);
  expect(errors).toEqual([]);
});
