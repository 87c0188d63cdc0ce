import type { InterfaceMatch } from './types.ts';

/** Why a pattern that the schema accepts can fit nothing, whatever there is on any host; undefined if it may fit. */
export function whyFitsNothing(key: keyof InterfaceMatch, pattern: string): string | undefined {
  switch (key) {
    case 'address':
      if (fitsPciAddress(pattern)) return undefined;
      return fitsPciAddress(`0000:${pattern}`)
        ? `'${pattern}' has no domain, so it fits no PCI address: write '0000:${pattern}'`
        : `'${pattern}' fits no PCI address: those are written as 0000:5e:02.1`;
    case 'mac':
      return fitsMac(pattern.toLowerCase())
        ? undefined
        : `'${pattern}' fits no MAC address: those are written as 52:54:00:12:34:56`;
    case 'bridge':
    case 'tap':
    case 'dev':
    case 'pf':
      // The kernel's IFNAMSIZ is 16, with the NUL at the end.
      return pattern.replaceAll('*', '').length <= 15
        ? undefined
        : `'${pattern}' fits no link: their names have at most 15 characters`;
    case 'guest':
    case 'network':
    case 'portgroup':
      return undefined;
  }
}

/** As sysfs spells it, the domain with four digits, or more where it is larger. */
function fitsPciAddress(pattern: string): boolean {
  const hex = /[0-9a-f]/;
  const bus = [/:/, hex, hex];
  const slot = [/:/, /[01]/, hex];
  return [4, 5, 6, 7, 8].some(digits =>
    fitsShape(pattern, [...Array<RegExp>(digits).fill(hex), ...bus, ...slot, /[.]/, /[0-7]/]),
  );
}

/** That of a command line may leave out zeros in front. */
function fitsMac(pattern: string): boolean {
  if (!pattern.includes('*')) return /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/.test(pattern);
  return !/[0-9a-f]{3}|::|^:|:$/.test(pattern) && pattern.split(':').length <= 6;
}

/** Whether `pattern` fits some text that has one character of each class. */
function fitsShape(pattern: string, shape: readonly RegExp[]): boolean {
  let ends = [0];
  for (const character of pattern) {
    ends =
      character === '*'
        ? shape.flatMap((_, at) => (at >= ends[0]! ? at : [])).concat(shape.length)
        : ends.flatMap(at => (shape[at]?.test(character) ? at + 1 : []));
    if (ends.length === 0) return false;
  }
  return ends.includes(shape.length);
}
