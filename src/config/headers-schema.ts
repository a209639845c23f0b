import * as z from "zod";
import { editableField, fieldValue } from "./scalars.ts";

const fieldEdits = z.strictObject({
  set: z
    .record(editableField, fieldValue)
    .prefault({})
    .describe("Fields to set; they replace fields of the same name."),
  remove: z.array(editableField).prefault([]).describe("Fields to remove."),
});

const requestEdits = fieldEdits.extend({
  via: z
    .enum(["on", "off"])
    .prefault("off")
    .describe(
      "Add the version of the client's HTTP and the name sluice to Via (RFC 9110 section 7.6.3). A backend nginx does not compress its responses to requests with Via, unless gzip_proxied allows it.",
    ),
});

const responseEdits = fieldEdits.extend({
  accel: z
    .boolean()
    .prefault(false)
    .describe(
      "Forward all X-Accel-* fields of the backend to an nginx in front; X-Accel-Buffering always passes.",
    ),
});

/** The `headers` of a route: fields that it sets or removes. */
export const headersSchema = z.strictObject({
  request: requestEdits.prefault({}).describe("Fields of the request to the backend."),
  response: responseEdits.prefault({}).describe("Fields of the response to the client."),
});
