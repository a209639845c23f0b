import * as z from "zod";
import { duration, editableField, fieldValue } from "./scalars.ts";

const MAX_EVENTS = 10_000;
/** A script that repeats without a pause would keep the process busy with one client. */
const EXPECTED_PAUSE = "expected at least one event with after, because the script repeats";

/** The value of an event's field, one line: a line break would begin another field. */
const line = z.string().regex(/^[^\r\n\0]*$/, "expected one line of text");

const json = z.union(
  [z.string(), z.number(), z.boolean(), z.record(z.string(), z.unknown()), z.array(z.unknown())],
  "expected a text, or a value to send as JSON",
);

const event = z
  .strictObject({
    data: json.optional().describe("A text of any number of lines, or a value to send as JSON."),
    event: line.optional().describe("The event type; message by default."),
    id: line.optional().describe("The event id; a client that reconnects with it resumes after this event."),
    retry: duration.optional().describe("The client's reconnection time from this event on."),
    comment: z.string().optional().describe("Comment lines, which clients ignore."),
    after: duration.optional().describe("How long to wait before this event."),
  })
  .refine((value) => Object.keys(value).some((key) => key !== "after"), "expected at least data or comment");

const object = z
  .strictObject({
    status: z.int().min(200).max(599).optional().describe("The status of a fixed response; 200 by default."),
    headers: z.record(editableField, fieldValue).prefault({}).describe("Header fields of the response."),
    body: json.optional().describe("The body of a fixed response: a text, or a value to send as JSON."),
    events: z
      .array(event)
      .min(1)
      .max(MAX_EVENTS)
      .optional()
      .describe("A scripted event stream instead of a fixed response."),
    repeat: z.boolean().optional().describe("Restart the script at its end; without it the stream ends."),
  })
  .superRefine(({ status, body, events, repeat }, ctx) => {
    const refuse = (key: string, message: string) => ctx.addIssue({ code: "custom", path: [key], message });
    if (events === undefined) {
      if (repeat !== undefined) refuse("repeat", "expected no repeat without events");
      return;
    }
    if (status !== undefined)
      refuse("status", "expected no status together with events: a stream has status 200");
    if (body !== undefined) refuse("body", "expected no body together with events");
    if (repeat === true && !events.some(({ after }) => after !== undefined)) refuse("events", EXPECTED_PAUSE);
  });

/** The same response to every request. */
export interface FixedResponseConfig {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** An event stream that follows a script. */
export interface ScriptConfig {
  readonly headers: Readonly<Record<string, string>>;
  readonly events: readonly ScriptEventConfig[];
  readonly repeat: boolean;
}

export type ScriptEventConfig = z.output<typeof event>;
export type MockConfig = FixedResponseConfig | ScriptConfig;

/** The `mock` of a route: its responses without a backend. */
export const mockSchema = object.transform(
  ({ status = 200, headers, body, events, repeat = false }): MockConfig =>
    events === undefined ? { status, headers, body } : { headers, events, repeat },
);
