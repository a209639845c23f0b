const BEGIN = "-----BEGIN CERTIFICATE-----";
const END = "-----END CERTIFICATE-----";

/** Returns the certificates in a text in PEM form, each with its BEGIN and END lines. */
export function certificatesIn(text: string): string[] {
  const blocks: string[] = [];
  for (let from = text.indexOf(BEGIN); from >= 0; ) {
    const end = text.indexOf(END, from);
    if (end < 0) break;
    blocks.push(text.slice(from, end + END.length));
    from = text.indexOf(BEGIN, end);
  }
  return blocks;
}
