import type { Config, InterfaceMatch, InterfaceRule, InterfaceSettings } from './types.ts';

/** What is known of an interface or tap; a rule that asks for something unknown does not fit. */
export type Matchable = { readonly [K in keyof InterfaceMatch]?: string | undefined };

/** The settings of the first rule that fits; none if no rule does. */
export function findSettings(config: Pick<Config, 'interfaces'>, subject: Matchable): InterfaceSettings {
  return findRule(config, subject)?.settings ?? {};
}

/** Those of them that no request overrides. */
export function findFinalSettings(config: Pick<Config, 'interfaces'>, subject: Matchable): InterfaceSettings {
  const rule = findRule(config, subject);
  return rule?.final ? rule.settings : {};
}

function findRule({ interfaces }: Pick<Config, 'interfaces'>, subject: Matchable): InterfaceRule | undefined {
  return interfaces.find(({ match }) => fits(match, subject));
}

/** Whether every pattern given fits what is known. */
export function fits(match: InterfaceMatch, subject: Matchable): boolean {
  return (Object.entries(match) as [keyof InterfaceMatch, string][]).every(([key, pattern]) => {
    const value = subject[key];
    if (value === undefined) return false;
    return key === 'mac' ? matchesPattern(pattern.toLowerCase(), value.toLowerCase()) : matchesPattern(pattern, value);
  });
}

/** Whether all of `text` fits `pattern`, in which `*` stands for any characters or none; nothing else is special. */
export function matchesPattern(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
