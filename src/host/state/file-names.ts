/**
 * A file name for any name libvirt accepts: letters, digits, `_` and `-` stay, every other byte becomes `%XX`. Long ones
 * are cut and told apart by a checksum; whoever reads such a file compares the name inside.
 */
export function fileNameOf(name: string): string {
  const bytes = Buffer.from(name);
  let safe = '';
  let sum = 0xcbf29ce484222325n;
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    safe += /[A-Za-z0-9_-]/.test(character) ? character : `%${byte.toString(16).padStart(2, '0')}`;
    sum = BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x100000001b3n);
  }
  return safe.length <= 100 ? safe : `${safe.slice(0, 100)}~${sum.toString(16)}`;
}

/** The name behind a file name; for one that was cut there is only the file name. */
export function nameOfFile(fileName: string): string {
  return Buffer.from(
    fileName.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString();
}
