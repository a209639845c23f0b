/** What a backend sent is no HTTP/1.x response, or one that could be read in two ways. */
export class ParseFault extends Error {}
