import { EventSourceParserStream } from "eventsource-parser/stream";
import { succeeded } from "../reading.mjs";
import { events, scripted } from "../wires.mjs";

export const backend = scripted(events);

export async function read(url, { saw, signal }) {
  const { body } = await succeeded(await fetch(url, { signal }));
  const parsed = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { data } of parsed) saw(JSON.parse(data));
}
