/** An id that travels in a field and comes back as it was: fields lose spaces at their ends. */
const USABLE_ID = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/;

/** Whether a client or a backend can be given an id (bytes as latin1): it ends no line, and comes back as it was. */
export const isUsableId = (id: string): boolean => USABLE_ID.test(id);

/** The id that a record gives to an event without one of its own. */
export function makeId(epoch: string, seq: number): string {
  return `${epoch}-${seq}`;
}

/** The position in an id of a record of this epoch, in the one spelling that ids are made in. */
export function madeSeq(epoch: string, id: string): number | undefined {
  if (epoch === "" || !id.startsWith(`${epoch}-`)) return undefined;
  const digits = id.slice(epoch.length + 1);
  return /^(?:0|[1-9]\d{0,15})$/.test(digits) ? Number(digits) : undefined;
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
