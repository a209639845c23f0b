/** An id that survives a header field unchanged: parsers strip spaces at both ends of a field value. */
const USABLE_ID = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/;

/** Whether an id (bytes as latin1) can be sent in Last-Event-ID: it has no line break and survives unchanged. */
export const isUsableId = (id: string): boolean => USABLE_ID.test(id);

/** Returns the id that a record makes for an event without an id. */
export function makeId(epoch: string, seq: number): string {
  return `${epoch}-${seq}`;
}

/** Returns the position in an id that a record of this epoch made; undefined for any other id. */
export function madeSeq(epoch: string, id: string): number | undefined {
  if (epoch === "" || !id.startsWith(`${epoch}-`)) return undefined;
  const digits = id.slice(epoch.length + 1);
  return /^(?:0|[1-9]\d{0,15})$/.test(digits) ? Number(digits) : undefined;
}

/** Returns a copy of an event block with an `id` line in front. The block must have none: the last `id` line wins. */
export function withId(block: Buffer, id: string): Buffer {
  const line = `id: ${id}\n`;
  // Not from Node's pool, of which one kept event would hold 8 KiB.
  const stamped = Buffer.allocUnsafeSlow(line.length + block.length);
  stamped.write(line, 0, "latin1");
  block.copy(stamped, line.length);
  return stamped;
}
