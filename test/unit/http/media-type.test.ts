import { expect, test } from "vitest";
import { mediaType } from "../../../src/http/media-type.ts";

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
