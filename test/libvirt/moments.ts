import type { LibvirtHost } from './host.ts';

/** An entry for a MAC that was made fixed, or a fixed one that was removed; when, in microseconds since 1970. */
export interface Moment {
  readonly host: string;
  readonly opened: boolean;
  readonly atUs: number;
}

/** What `bridge -timestamp monitor fdb` printed about a MAC: a line with the time before each. */
export function momentsOf(host: LibvirtHost, mac: string, lines: readonly string[]): Moment[] {
  return lines.flatMap((line, index) => {
    const stamp = /^Timestamp: (.*) (\d{4}) (\d+) usec$/.exec(lines[index - 1] ?? '');
    if (stamp === null || !line.includes(mac) || !line.includes('static')) return [];
    const atUs = Date.parse(`${stamp[1]} ${stamp[2]} UTC`) * 1000 + Number(stamp[3]);
    return [{ host: host.name, opened: !line.startsWith('Deleted'), atUs }];
  });
}

/**
 * From one host's closing to the other's opening, for each time the guest moved; microseconds, negative where both were open.
 * Each move is an opening on the one and a closing on the other, whichever comes first.
 */
export function gapsOf(moments: readonly Moment[]): number[] {
  const ordered = [...moments].sort((a, b) => a.atUs - b.atUs);
  const gaps: number[] = [];
  let closed: Moment | undefined;
  let openOn: Moment | undefined;
  for (const moment of ordered) {
    if (moment.opened) {
      // Opened here while the other is still open: its closing ends the overlap.
      if (openOn === undefined && closed !== undefined && closed.host !== moment.host)
        gaps.push(moment.atUs - closed.atUs);
      openOn = openOn?.host === moment.host ? openOn : moment;
      closed = undefined;
    } else {
      if (openOn !== undefined && openOn.host !== moment.host) gaps.push(openOn.atUs - moment.atUs);
      else openOn = undefined;
      closed = moment;
    }
  }
  return gaps;
}
