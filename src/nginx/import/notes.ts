import type { Directive } from "../directive.ts";

/** Something of nginx that a route does not have, or has in another way. */
export interface Note {
  readonly at: Directive;
  readonly text: string;
  /** Whether it stands in the route's file alone, as a line for people says the same already. */
  readonly isInFileAlone?: boolean;
}

/** A location, or a server, that cannot be a route; the message says why and what to do. */
export class NotImported extends Error {
  override readonly name = "NotImported";
  readonly at: Directive;

  constructor(at: Directive, message: string) {
    super(message);
    this.at = at;
  }
}

/** What is to be said of one location. */
export class Notes {
  readonly all: Note[] = [];

  add(at: Directive, text: string): void {
    if (!this.all.some((note) => note.at === at && note.text === text)) this.all.push({ at, text });
  }
}

/** More of a directive than this hides what is said of it. */
const MAX_LENGTH = 70;

/** `site.conf:12 auth_basic "staff"`. */
export function spell(at: Directive): string {
  const words = at.words.map(({ raw }) => raw).join(" ");
  const text = at.block === undefined ? words : `${words} {}`;
  const short = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 3)}...` : text;
  return `${at.at} ${short.replace(/\s+/g, " ")}`;
}

/** One line for a person. */
export const formatNote = ({ at, text }: Note): string => `${spell(at)}: ${text}`;
