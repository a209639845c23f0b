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
  // Not from Node's pool: one event that is kept would keep 8 KiB of it.
  const stamped = Buffer.allocUnsafeSlow(line.length + block.length);
  stamped.write(line, 0, "latin1");
  block.copy(stamped, line.length);
  return stamped;
}
