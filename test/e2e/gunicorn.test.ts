import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startGatewayTo } from "../support/gateway.ts";
import { startGunicorn } from "../support/gunicorn.ts";

const COUNT = 25;

test("no POST fails when gunicorn, which closes idle connections after 2 s, is asked about every 2 s", async () => {
  const gateway = await startGatewayTo(await startGunicorn());
  const post = async () => {
    const posted = await fetch(gateway.url, { method: "POST", body: "{}" });
    return [posted.status, await posted.text()];
  };
  const answers = await Promise.all(
    Array.from({ length: COUNT }, async (_, n) => {
      const first = await post();
      await delay(1_900 + n * 8);
      return [first, await post()];
    }),
  );
  expect(answers.flat()).toEqual(Array.from({ length: 2 * COUNT }, () => [200, "POST"]));
});
