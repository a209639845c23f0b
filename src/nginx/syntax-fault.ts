import type { SourceFile } from "./source-file.ts";

/** Why nginx would not read on, in nginx's own words, and where. */
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
