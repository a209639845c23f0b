import type { Directive } from "../directive.ts";

/** A note about a part of the nginx configuration that a route lacks or does in another way. */
export interface Note {
  readonly at: Directive;
  readonly text: string;
  /** Whether the note is only for the route's file, because the output has it already. */
  readonly isInFileAlone?: boolean;
}

/** A location or server that cannot become a route; the message gives the reason and the remedy. */
export class NotImported extends Error {
  override readonly name = "NotImported";
  readonly at: Directive;

  constructor(at: Directive, message: string) {
    super(message);
    this.at = at;
  }
}

/** The notes on one location. */
export class Notes {
  readonly all: Note[] = [];

  add(at: Directive, text: string): void {
    if (!this.all.some((note) => note.at === at && note.text === text)) this.all.push({ at, text });
  }
}

/** The maximum number of characters of a directive in a note: more would hide the text. */
const MAX_LENGTH = 70;

/** Returns the place and text of a directive: `site.conf:12 auth_basic "staff"`. */
export function spell(at: Directive): string {
  const words = at.words.map(({ raw }) => raw).join(" ");
  const text = at.block === undefined ? words : `${words} {}`;
  const short = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 3)}...` : text;
  return `${at.at} ${short.replace(/\s+/g, " ")}`;
}

/** Formats a note as one line. */
export const formatNote = ({ at, text }: Note): string => `${spell(at)}: ${text}`;
