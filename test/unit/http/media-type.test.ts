import { expect, test } from "vitest";
import { mediaType, mediaTypes } from "../../../src/http/media-type.ts";

test.each([
  ["text/event-stream", "text/event-stream"],
  ["Text/Event-Stream; charset=utf-8", "text/event-stream"],
  [" text/event-stream ;a=b;c=d", "text/event-stream"],
  ["text/event-streams", "text/event-streams"],
  ["", ""],
  [";charset=utf-8", ""],
  [undefined, ""],
])("the media type of %j is %j", (value, expected) => {
  expect(mediaType(value)).toBe(expected);
});

test("a list of media types matches names, and beginnings with a final *", () => {
  const test = mediaTypes(["text/event-stream", "application/grpc-web*"]);
  const types = ["text/event-stream", "text/event-streams", "application/grpc-web+proto", "application/grpc"];
  expect(types.map(test)).toEqual([true, false, true, false]);
  expect(mediaTypes(["*"])("")).toBe(true);
  expect(mediaTypes([])("")).toBe(false);
});
