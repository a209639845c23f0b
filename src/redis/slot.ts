/** The hash slots of Redis Cluster: each key belongs to one, and each slot to one node. */

export const SLOTS = 16_384;

/** The polynomial of CRC16/XMODEM, which Redis Cluster uses. */
const POLYNOMIAL = 0x1021;

/** Returns the slot of a key: that of its first part in braces, or that of the whole key. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open);
  return crc16(Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) % SLOTS;
}

function crc16(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc << 1) ^ (crc & 0x8000 ? POLYNOMIAL : 0);
    crc &= 0xffff;
  }
  return crc;
}
