// Bytes as a test shows them: hex digits in groups, and text between quotes.

/** `hex("49484156 'x' 00")`: the bytes of the digits and of the quoted text. */
export function hex(text: string): Buffer {
  const parts = text.match(/'[^']*'|[0-9a-f]+/gi) ?? [];
  return Buffer.concat(
    parts.map((part) => (part.startsWith("'") ? Buffer.from(part.slice(1, -1)) : Buffer.from(part, 'hex'))),
  );
}
