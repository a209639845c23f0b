import { fieldValue } from "../http/fields.ts";
import { mediaType } from "../http/media-type.ts";
import { printable } from "./printable.ts";
import type { Reading } from "./reading.ts";

/** Why an answer is no stream: the rest of a sentence after the hop's name, and the remedy. */
export interface Refusal {
  readonly sentence: string;
  readonly remedy: string;
}

const REMEDIES: Readonly<Record<number, string>> = {
  204: "the server has no more events; an EventSource does not come back",
  400: "the server's log says what it did not like; a plain http URL at a TLS port is answered so too",
  401: "pass credentials: --header 'Authorization: Bearer …'",
  403: "pass credentials, or the Origin of a page that may read: --origin https://…",
  404: "check the path",
  405: "pass the method: --method POST --data @request.json",
  406: "pass the type that it has: --header 'Accept: …'",
  413: "the body is too large for a proxy in front: client_max_body_size (body-limit)",
  415: "pass the body's type: --header 'Content-Type: application/json'",
  422: "check the body: --data @request.json",
  426: "this path may be a WebSocket, which is no event stream",
  429: "too many streams or requests; wait, or raise the limit",
  502: "the proxy does not reach its backend: check that it runs, and probe it as a --hop",
  503: "the server is overloaded or stopping",
  504: "the proxy's backend did not answer in time: probe it as a --hop",
};

/** Undefined when the answer is a stream, or when there is no answer. */
export function refusalOf(reading: Reading): Refusal | undefined {
  const { head } = reading;
  if (head === undefined) return undefined;
  const { status, fields } = head;
  const location = fieldValue(fields, "location");
  if (status >= 300 && status <= 399 && location !== undefined) {
    // The client follows redirects, except to another host with the caller's fields, and except too many.
    return {
      sentence: `answers ${status} and sends on to ${printable(location)}`,
      remedy: "probe that URL; fields and bodies are not sent to another host",
    };
  }
  if (status < 200 || status > 299 || status === 204) {
    const remedy = REMEDIES[status] ?? (status >= 500 ? "check the server's log" : "check the request");
    return { sentence: `answers ${status}`, remedy };
  }
  if (reading.format !== undefined) return undefined;
  const type = mediaType(fieldValue(fields, "content-type"));
  const named = type === "" ? "an answer without a Content-Type" : printable(type);
  if (type === "text/html")
    return {
      sentence: `answers ${status} with a page (text/html)`,
      remedy:
        "check the path; in nginx no location may proxy it (spa-answers), or an error page hides an error (error-becomes-200)",
    };
  return {
    sentence: `answers ${status} with ${named}, which is no event stream`,
    remedy:
      "the type of a stream is text/event-stream or application/x-ndjson; check the path and the Accept field",
  };
}
