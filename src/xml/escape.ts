const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** The characters that `text`, taken from a well-formed document, stands for. */
export function decodeReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (_, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return entities[name!]!;
  });
}

/** `value` as it may stand between either kind of quotes; line ends and tabs survive a reader's normalisation. */
export function escapeAttribute(value: string): string {
  return value.replace(/[&<>"'\t\n\r]/g, character => {
    const name = Object.keys(entities).find(key => entities[key] === character);
    return name === undefined ? `&#${character.charCodeAt(0)};` : `&${name};`;
  });
}
