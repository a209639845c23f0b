import { describe, expect, test } from "vitest";
import { notesOf } from "../../../src/probe/notes.ts";
import { refusalOf } from "../../../src/probe/refusal.ts";
import { softwareOf, tellingFields } from "../../../src/probe/software.ts";
import { madeReading } from "../../support/reading.ts";

const headOf = (fields: readonly string[], more = {}) => ({
  head: { status: 200, protocol: "HTTP/1.1" as const, fields, framing: "chunked" as const, ...more },
});

test.each([
  [["Server", "nginx/1.22.1"], "nginx"],
  [["server", "openresty"], "openresty"],
  [["Server", "cloudflare", "CF-RAY", "1-FRA"], "Cloudflare"],
  // Via names the outermost program last.
  [["Server", "nginx", "Via", "1.1 Caddy"], "Caddy"],
  [["Server", "uvicorn", "Via", "1.1 varnish, 1.1 abc.cloudfront.net (CloudFront)"], "CloudFront"],
  [["Server", "envoy"], "Envoy"],
  [["Server", "Kestrel"], "Kestrel"],
  [["X-Powered-By", "Express"], undefined],
])("the program in front: %j", (fields, name) => {
  expect(softwareOf(fields)?.name).toBe(name);
});

test("the report contains the fields that describe the path, with every value", () => {
  const fields = ["Age", "3", "Via", "a", "via", "b", "Set-Cookie", "secret", "X-Cache", "HIT"];
  expect(tellingFields(fields)).toEqual({ age: ["3"], via: ["a", "b"], "x-cache": ["HIT"] });
});

describe("notes", () => {
  const origin = "https://app.example";
  const notes = (fields: readonly string[], more = {}, asking?: string) =>
    notesOf(madeReading([], { ...headOf(fields, more) }), asking).map(({ text, rule }) => rule ?? text);

  test.each<[string, readonly string[], readonly string[]]>([
    ["nothing", ["Content-Type", "text/event-stream", "Cache-Control", "no-cache"], []],
    [
      "Content-Type twice",
      ["Content-Type", "text/event-stream", "Content-Type", "text/html"],
      ["field-twice"],
    ],
    ["a cache's hit", ["X-Cache-Status", "HIT"], ["stream-cached"]],
    ["no hit", ["X-Cache-Status", "MISS", "Age", "0"], []],
    ["an age", ["Age", "12"], ["stream-cached"]],
    ["a time to keep", ["Cache-Control", "public, max-age=3600"], ["expires-overrides"]],
    ["none to keep", ["Cache-Control", "max-age=0"], []],
  ])("of %s", (_, fields, rules) => {
    const typed = fields.some((field) => field === "Content-Type")
      ? fields
      : ["Content-Type", "text/event-stream", ...fields];
    expect(notes(typed)).toEqual(rules);
  });

  test("about CORS exist only if the request names an origin", () => {
    const type = ["Content-Type", "text/event-stream"];
    const allow = (value: string) => [...type, "Access-Control-Allow-Origin", value];
    expect(notes(type, {}, origin)).toEqual([expect.stringContaining("no Access-Control-Allow-Origin")]);
    expect(notes(allow("https://other.example"), {}, origin)).toEqual([
      expect.stringContaining("cannot read the stream"),
    ]);
    expect(notes(allow(origin), {}, origin)).toEqual([]);
    expect(notes(allow("*"), {}, origin)).toEqual([]);
    expect(notes([...allow("*"), ...allow("*").slice(2)], {}, origin)).toEqual(["cors-twice"]);
  });

  test("about a body without framing name nginx's chunked_transfer_encoding off", () => {
    const type = ["Content-Type", "text/event-stream", "Server", "nginx"];
    expect(notes(type, { framing: "close" })).toEqual(["chunked-off"]);
    expect(notes(type, { framing: "close", protocol: "HTTP/1.0" })).toEqual([]);
  });
});

test.each([
  [200, "text/event-stream", undefined],
  [201, "text/event-stream", undefined],
  [204, "text/event-stream", "answers 204"],
  [502, "text/html", "answers 502"],
  [418, "text/event-stream", "answers 418"],
])("an answer of %i %s", (status, type, sentence) => {
  const reading = madeReading([], headOf(["Content-Type", type], { status }));
  expect(refusalOf(reading)?.sentence).toBe(sentence);
});
