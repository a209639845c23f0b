import { fieldValue } from "../http/fields.ts";
import { mediaType } from "../http/media-type.ts";
import { printable } from "./printable.ts";
import type { Reading } from "./reading.ts";

/** The reason why a response is not a stream: the rest of a sentence after the hop's name, and the remedy. */
export interface Refusal {
  readonly sentence: string;
  readonly remedy: string;
}

const REMEDIES: Readonly<Record<number, string>> = {
  204: "the server has no more events; an EventSource does not reconnect",
  400: "check the server's log for the reason; an http URL at a port with TLS also gets 400",
  401: "pass credentials: --header 'Authorization: Bearer …'",
  403: "pass credentials, or an allowed Origin: --origin https://…",
  404: "check the path",
  405: "pass the method: --method POST --data @request.json",
  406: "accept the type of the stream: --header 'Accept: …'",
  413: "the body is too large for a proxy in front: client_max_body_size (body-limit)",
  415: "pass the body's type: --header 'Content-Type: application/json'",
  422: "check the body: --data @request.json",
  426: "this path may be a WebSocket, which is not an event stream",
  429: "too many streams or requests; wait, or raise the limit",
  502: "the proxy cannot reach its backend: check that it runs, and probe it as a --hop",
  503: "the server is overloaded or stopping",
  504: "the proxy's backend did not answer in time: probe it as a --hop",
};

/** Returns the reason why the response is not a stream; undefined for a stream, or without a response. */
export function refusalOf(reading: Reading): Refusal | undefined {
  const { head } = reading;
  if (head === undefined) return undefined;
  const { status, fields } = head;
  const location = fieldValue(fields, "location");
  if (status >= 300 && status <= 399 && location !== undefined) {
    // A redirect gets here if it goes to another host with the caller's fields, or if there are too many.
    return {
      sentence: `answers ${status} and redirects to ${printable(location)}`,
      remedy: "probe that URL; the probe does not send fields and bodies to another host",
    };
  }
  if (status < 200 || status > 299 || status === 204) {
    const remedy = REMEDIES[status] ?? (status >= 500 ? "check the server's log" : "check the request");
    return { sentence: `answers ${status}`, remedy };
  }
  if (reading.format !== undefined) return undefined;
  const type = mediaType(fieldValue(fields, "content-type"));
  const named = type === "" ? "without a Content-Type" : `with ${printable(type)}`;
  if (type === "text/html")
    return {
      sentence: `answers ${status} with a page (text/html)`,
      remedy:
        "check the path; perhaps no location of nginx proxies it (spa-answers), or an error page hides an error (error-becomes-200)",
    };
  return {
    sentence: `answers ${status} ${named}, so it is not an event stream`,
    remedy:
      "the type of a stream is text/event-stream or application/x-ndjson; check the path and the Accept field",
  };
}
