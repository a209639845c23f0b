/** A configuration or option for which no nginx configuration can be generated; the message names the remedy. */
export class GenerateFault extends Error {
  override readonly name = "GenerateFault";
}
