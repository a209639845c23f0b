import { expect, test } from "vitest";
import { tracingSchema } from "../../../src/config/tracing-schema.ts";
import { directoryOf } from "../../support/sluice-process.ts";

test("it is off by default, and its URL is all that it needs", () => {
  expect(tracingSchema.parse(undefined)).toBeNull();
  expect(tracingSchema.parse({ otlp: "http://127.0.0.1:4318" })).toEqual({
    otlp: "http://127.0.0.1:4318/v1/traces",
    sample: 1,
    service: "sluice",
    headers: {},
    queue: 4096,
    interval: 2_000,
    timeout: 10_000,
  });
});

test("a URL with a path stays as it is", () => {
  const otlp = "https://otlp.example.com/otlp/v1/traces?tenant=a";
  expect(tracingSchema.parse({ otlp })?.otlp).toBe(otlp);
});

test("a header may be in a file", () => {
  const directory = directoryOf({ token: "Bearer abc\n" });
  const headers = { Authorization: `file:${directory}/token`, "X-Tenant": "a" };
  expect(tracingSchema.parse({ otlp: "http://a", headers })?.headers).toEqual({
    Authorization: "Bearer abc",
    "X-Tenant": "a",
  });
});

test.each([
  [{}, "expected a URL such as http://127.0.0.1:4318"],
  [{ otlp: "127.0.0.1:4318" }, "expected a URL such as http://127.0.0.1:4318"],
  [{ otlp: "grpc://127.0.0.1:4317" }, "expected a URL such as http://127.0.0.1:4318"],
  [{ otlp: "http://u:p@a" }, "expected a URL without credentials; they belong in headers"],
  [{ otlp: "http://a", sample: "1" }, "expected a number from 0 to 1"],
  [{ otlp: "http://a", sample: 5 }, "expected a number from 0 to 1"],
  [{ otlp: "http://a", queue: 0 }, "too_small"],
  [{ otlp: "http://a", headers: { "a b": "c" } }, "expected a name of letters"],
  [{ otlp: "http://a", headers: { a: "b\nc" } }, "expected a field value without line breaks"],
  [{ otlp: "http://a", interval: "1ms" }, "expected a duration from 10ms to 60s"],
  [{ otlp: "http://a", timeout: "10ms" }, "expected a duration from 100ms to 60s"],
  [{ otlp: "http://a", service: "" }, "expected a name of 1 to 128 characters"],
  [{ otlp: "http://a", endpoint: "http://a" }, "unrecognized_keys"],
])("%j is refused: %s", (value, message) => {
  expect(JSON.stringify(tracingSchema.safeParse(value).error?.issues)).toContain(message);
});
