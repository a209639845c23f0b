/** Bytes that are not HTTP/1.x, or that two parsers could read in two ways. */
export class ParseError extends Error {}
