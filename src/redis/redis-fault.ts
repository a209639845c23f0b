/** Redis refused a command, or did not reply. The message contains no arguments, which may be secret. */
export class RedisFault extends Error {
  override readonly name: string = "RedisFault";
}

/** Redis sent a reply that its schema does not accept. */
export class InvalidReply extends RedisFault {
  override readonly name = "InvalidReply";
}
