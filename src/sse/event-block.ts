/** The fields and comments of one event block. */
export interface EventParts {
  /** Any number of lines. */
  readonly data?: string | undefined;
  /** The event type, one line. */
  readonly event?: string | undefined;
  /** One line, without NUL. */
  readonly id?: string | undefined;
  /** Reconnection time in ms. */
  readonly retry?: number | undefined;
  /** Any number of lines. */
  readonly comment?: string | undefined;
}

/**
 * Renders an event block (WHATWG HTML, "parsing an event stream"). A block of comments alone gets no empty line at its
 * end: some decoders would dispatch an empty event.
 */
export function renderEventBlock({ data, event, id, retry, comment }: EventParts): string {
  const comments = comment === undefined ? "" : eachLine(":", comment);
  const fields =
    (event === undefined ? "" : `event: ${event}\n`) +
    (id === undefined ? "" : `id: ${id}\n`) +
    (retry === undefined ? "" : `retry: ${retry}\n`) +
    (data === undefined ? "" : eachLine("data:", data));
  return fields === "" ? comments : `${comments}${fields}\n`;
}

function eachLine(name: string, text: string): string {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) => (line === "" ? `${name}\n` : `${name} ${line}\n`))
    .join("");
}
