/**
 * The part of CryptoJS that the API gateway's signer needs in a browser: SHA-256 and its HMAC, in hex.
 *
 * WebCrypto has both, but its results are promises, and the signer is synchronous. WebCrypto also needs a secure origin,
 * which a demo on another machine does not have.
 */
const encoder = new TextEncoder();
const BLOCK_BYTES = 64;

// FIPS 180-4 section 4.2.2: the first 32 bits of the fractions of the cube roots of the first 64 primes, and
// section 5.3.3: of the square roots of the first eight.
const PRIMES = Array.from({ length: 311 }, (_, n) => n + 1).filter(isPrime);
const ROUND = PRIMES.map((prime) => fraction(Math.cbrt(prime)));
const START = PRIMES.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));

function sha256(message) {
  const words = new Uint32Array(64);
  const state = Uint32Array.from(START);
  const padded = pad(message);
  for (let at = 0; at < padded.byteLength; at += BLOCK_BYTES) {
    for (let i = 0; i < 16; i += 1) words[i] = padded.getUint32(at + i * 4);
    for (let i = 16; i < 64; i += 1) {
      const [near, far] = [words[i - 2], words[i - 15]];
      const s0 = rotate(far, 7) ^ rotate(far, 18) ^ (far >>> 3);
      const s1 = rotate(near, 17) ^ rotate(near, 19) ^ (near >>> 10);
      words[i] = words[i - 16] + s0 + words[i - 7] + s1;
    }
    compress(state, words);
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (const [i, word] of state.entries()) digest.setUint32(i * 4, word);
  return new Uint8Array(digest.buffer);
}

function compress(state, words) {
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const one = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + words[i]) | 0;
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
  }
  for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i] += word;
}

/** Pads a message with a one bit, zeros, and its length in bits at the end of the last block (FIPS 180-4, section 5.1.1). */
function pad(message) {
  const blocks = Math.ceil((message.length + 9) / BLOCK_BYTES);
  const padded = new Uint8Array(blocks * BLOCK_BYTES);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(message.length) * 8n);
  return view;
}

function hmac(key, message) {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? sha256(key) : key);
  const inner = sha256(Uint8Array.of(...block.map((byte) => byte ^ 0x36), ...message));
  return sha256(Uint8Array.of(...block.map((byte) => byte ^ 0x5c), ...inner));
}

function isPrime(n) {
  for (let divisor = 2; divisor * divisor <= n; divisor += 1) if (n % divisor === 0) return false;
  return n > 1;
}

function fraction(root) {
  return ((root % 1) * 2 ** 32) >>> 0;
}

function rotate(word, bits) {
  return (word >>> bits) | (word << (32 - bits));
}

/** Returns an object like CryptoJS's, which the signer converts to text. */
function hex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

globalThis.CryptoJS = {
  enc: { Hex: undefined },
  SHA256: (text) => hex(sha256(encoder.encode(text))),
  HmacSHA256: (text, key) => hex(hmac(encoder.encode(key), encoder.encode(text))),
};
