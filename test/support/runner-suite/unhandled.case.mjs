import { expect, test } from "vitest";

test("leaves a rejection behind", async () => {
  // biome-ignore lint/nursery/noFloatingPromises: an unhandled rejection is what the runner has to see
  Promise.reject(new Error("unhandled"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(1).toBe(1);
});
