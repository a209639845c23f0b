/** A configuration that nginx cannot be set up for as asked; the message is a sentence with the remedy. */
export class GenerateFault extends Error {
  override readonly name = "GenerateFault";
}
