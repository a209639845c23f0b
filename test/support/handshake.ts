/** The example key of RFC 6455 section 1.3. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
/** The Sec-WebSocket-Accept for that key. */
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const lines = (fields: Readonly<Record<string, string>>): string =>
  Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");

/** Returns the bytes of a WebSocket handshake; `fields` adds or replaces fields. */
export const handshake = (path = "/", fields: Readonly<Record<string, string>> = {}): string =>
  `GET ${path} HTTP/1.1\r\n${lines({
    Host: "sluice.test",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    ...fields,
  })}\r\n`;

/** Returns the bytes of a backend's 101. */
export const switching = (fields: Readonly<Record<string, string>> = {}): string =>
  `HTTP/1.1 101 Switching Protocols\r\n${lines({
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Accept": ACCEPT,
    ...fields,
  })}\r\n`;
