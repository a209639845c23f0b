import type { SourceFile } from "./source-file.ts";

/** A syntax error in nginx's own words, with its place. */
export class SyntaxFault extends Error {
  override readonly name = "SyntaxFault";
  readonly file: SourceFile;
  readonly offset: number;

  constructor(message: string, file: SourceFile, offset: number) {
    super(message);
    this.file = file;
    this.offset = offset;
  }
}
