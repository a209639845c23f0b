/** The id that a record gives to an event without one of its own. */
export function makeId(epoch: string, seq: number): string {
  return `${epoch}-${seq}`;
}

/**
 * An event block with an id in front of its own lines; a later `id` line of the block would win, so there must
 * be none. One copy, made once for all clients.
 */
export function withId(block: Buffer, id: string): Buffer {
  const line = `id: ${id}\n`;
  const stamped = Buffer.allocUnsafe(line.length + block.length);
  stamped.latin1Write(line, 0);
  block.copy(stamped, line.length);
  return stamped;
}
