import { describe, expect, test } from 'vitest';
import { attach } from '../../../src/hotplug/attach.ts';
import { detach } from '../../../src/hotplug/detach.ts';
import type { Uuid } from '../../../src/model/values.ts';
import { ActualnetError, asActualnetError } from '../../../src/report/error.ts';
import { parseXml } from '../../../src/xml/document.ts';
import { definition, fakeGuest, status } from './fake-guest.ts';

const mac = '52:54:00:00:00:01';
const pci = (place: string) => {
  const [, bus, slot, fn] = /(..):(..)\.(.)/.exec(place)!;
  return `<address type='pci' domain='0x0000' bus='0x${bus}' slot='0x${slot}' function='0x${fn}'/>`;
};
const inGuest = pci('07:00.0');
const actual = `<actual type='hostdev' managed='yes'><source>${pci('5e:02.0')}</source></actual>`;
const poolInterface = (inside: string, portid = '', own = mac) =>
  `<interface type='network'><mac address='${own}'/><source network='vfs'${portid}/>${inside}</interface>`;
const live = poolInterface(
  `${actual}<alias name='hostdev0'/>${inGuest}`,
  " portid='0b0e1f52-0000-4000-8000-0000000000d1'",
);
const written = poolInterface(inGuest);
const hostdev = (place: string, inside = '') =>
  `<hostdev mode='subsystem' type='pci' managed='yes'><source>${pci(place).replace("type='pci' ", '')}</source>${inside}</hostdev>`;
const plain = (own: string, inside: string) =>
  `<interface type='bridge'><mac address='${own}'/><source bridge='br0'/>${inside}</interface>`;

type Guest = ReturnType<typeof fakeGuest>;
const go = (guest: Guest, selector: string, flags: string) =>
  detach('g', selector, {
    where: { live: flags.includes('live'), config: flags.includes('config') },
    limitMs: 5000,
    dryRun: false,
    host: guest.host,
  }).then(
    () => 'done',
    error => asActualnetError(error).code,
  );
const letsGo = (words: readonly string[], state: Guest['state']) => {
  if (words[0] === 'detach-device-alias') state.live = status('');
};
const unplugs = (alias: string) => `detach-device-alias --alias ${alias} --live`;
const takesOut = (xml: string) => `detach-device --config <<< ${xml}`;

describe('the device of the running guest and of its definition are one', () => {
  test.each<
    [name: string, selector: string, devices: { live?: string; defined: string; vfs?: number }, virsh: string[]]
  >([
    ['MAC', mac, { live, defined: written }, [unplugs('hostdev0'), takesOut(written)]],
    ['address from a pool', '0000:5e:02.0', { live, defined: written }, [unplugs('hostdev0'), takesOut(written)]],
    ['address in the guest', '07:00.0', { live, defined: written }, [unplugs('hostdev0'), takesOut(written)]],
    ['alias of libvirt’s', 'hostdev0', { live, defined: written }, [unplugs('hostdev0'), takesOut(written)]],
    ['alias, no VF is free', 'hostdev0', { live, defined: written, vfs: 1 }, [unplugs('hostdev0'), takesOut(written)]],
    [
      'an address as QEMU spells it',
      '5e:03.0',
      { live: hostdev('5e:03.0', "<alias name='hostdev0'/>"), defined: hostdev('5e:03.0') },
      [unplugs('hostdev0'), takesOut(hostdev('5e:03.0'))],
    ],
    [
      'twins, by their place in the guest',
      'net0',
      {
        live: plain(mac, `<alias name='net0'/>${pci('00:03.0')}`) + live,
        defined: written + plain(mac, pci('00:03.0')),
      },
      [unplugs('net0'), takesOut(plain(mac, pci('00:03.0')))],
    ],
    [
      'twins, by their network',
      'hostdev0',
      { live: plain(mac, "<alias name='net0'/>") + live, defined: plain(mac, '') + poolInterface('') },
      [unplugs('hostdev0'), takesOut(poolInterface(''))],
    ],
  ])('by %s', async (_, selector, { live: running = '', defined, vfs = 2 }, virsh) => {
    const guest = fakeGuest({ live: status(running), defined: definition(defined), vfs, onVirsh: letsGo });
    expect(await go(guest, selector, '--live --config')).toBe('done');
    expect(guest.virsh).toEqual(virsh);
    // The definition alone, too, while the guest runs.
    const again = fakeGuest({ live: status(running), defined: definition(defined), vfs });
    expect(await go(again, selector, '--config')).toBe('done');
    expect(again.virsh).toEqual([virsh.at(-1)]);
  });

  test.each<[name: string, selector: string, flags: string, devices: { live?: string; defined: string }]>([
    ['a free VF of the pool is nobody’s', '0000:5e:02.1', '--config', { live, defined: written }],
    ['nor is it one that a guest that is off would get', '0000:5e:02.0', '--config', { defined: written }],
    [
      'one in the guest and another one’s on the host',
      '0000:07:00.0',
      '--live --config',
      { live, defined: written + hostdev('07:00.0') },
    ],
    [
      'another one at that place in the guest',
      '07:00.0',
      '--live --config',
      { live, defined: plain('52:54:00:00:00:02', inGuest) },
    ],
    ['only the running guest has it', mac, '--live --config', { live, defined: '' }],
    ['only the definition has it', mac, '--live --config', { live: '', defined: written }],
    ['twins without a difference', mac, '--config', { defined: plain(mac, '') + plain(mac, '') }],
    [
      'an alias that another one has there',
      'ua-a',
      '--live --config',
      { live: plain(mac, "<alias name='ua-a'/>"), defined: plain(mac, "<alias name='ua-b'/>") },
    ],
  ])('refused before anything is touched: %s', async (_, selector, flags, { live: running, defined }) => {
    const guest = fakeGuest({
      live: running === undefined ? undefined : status(running),
      defined: definition(defined),
    });
    expect(await go(guest, selector, flags)).toBe('DEVICE_MISSING');
    expect(guest.virsh).toEqual([]);
  });

  test.each([
    ['07:00.0', written],
    ['5e:03.0', hostdev('5e:03.0')],
    ['ua-x', plain('52:54:00:00:00:02', "<alias name='ua-x'/>")],
  ])('of a guest that is off, by what is written: %s', async (selector, xml) => {
    const defined = definition(written + hostdev('5e:03.0') + plain('52:54:00:00:00:02', "<alias name='ua-x'/>"));
    const guest = fakeGuest({ defined });
    expect(await go(guest, selector, '--config')).toBe('done');
    expect(guest.virsh).toEqual([takesOut(xml)]);
  });
});

describe('--live --config, half of which fails', () => {
  const failing = (command: string) => (words: readonly string[], state: Guest['state']) => {
    if (words[0] === command) throw new ActualnetError('ACTION_FAILED', `virsh ${command}: refused`);
    letsGo(words, state);
  };

  test('the running guest keeps its device: so does the definition', async () => {
    const guest = fakeGuest({
      live: status(live),
      defined: definition(written),
      onVirsh: failing('detach-device-alias'),
    });
    expect(await go(guest, mac, '--live --config')).toBe('ACTION_FAILED');
    expect(guest.virsh).toEqual([unplugs('hostdev0')]);
  });

  test('the definition cannot be changed: the device goes, and that is told', async () => {
    const guest = fakeGuest({
      live: status(live),
      defined: definition(written),
      onVirsh: failing('detach-device'),
    });
    expect(await go(guest, mac, '--live --config')).toBe('ACTION_FAILED');
    expect(guest.said.at(-1)).toBe("the definition of guest 'g' still has the device: virsh detach-device: refused");
    expect(guest.state.live?.interfaces).toEqual([]);
  });

  test('a guest that does not let go in time: its definition is changed, and it is waited for aloud', async () => {
    const guest = fakeGuest({ live: status(live), defined: definition(written) });
    expect(await go(guest, mac, '--live --config')).toBe('STILL_ATTACHED');
    expect(guest.virsh).toEqual([unplugs('hostdev0'), takesOut(written)]);
    expect(guest.said.slice(-2)).toEqual([
      "waiting for the guest to let go of 'hostdev0' (2 s)",
      "waiting for the guest to let go of 'hostdev0' (4 s)",
    ]);
  });

  const coming = plain('52:54:00:00:00:09', '');
  const attaching = (guest: Guest) =>
    attach('g', parseXml(coming), { where: { live: true, config: true }, dryRun: false, host: guest.host }).catch(
      error => asActualnetError(error).code,
    );

  test('attached to the definition alone: it is taken out of it again, as it stands there', async () => {
    const placed = plain('52:54:00:00:00:09', pci('00:04.0'));
    const guest = fakeGuest({
      live: status(''),
      defined: definition(written),
      onVirsh: ([command], state) => {
        if (command === 'attach-device') state.defined = definition(written + placed);
      },
    });
    expect(await attaching(guest)).toBe('ACTION_FAILED');
    expect(guest.virsh).toEqual([`attach-device --live --config <<< ${coming}`, takesOut(placed)]);
  });

  test('what is not undone is told; what the definition had before stays', async () => {
    const guest = fakeGuest({
      live: status(''),
      defined: definition(coming),
      onVirsh: ([command], state) => {
        if (command !== 'attach-device') throw new ActualnetError('ACTION_FAILED', `virsh ${command}: refused`);
        // With an alias that is taken.
        const twice =
          plain('52:54:00:00:00:0a', "<alias name='net0'/>") + plain('52:54:00:00:00:09', "<alias name='net0'/>");
        state.live = status(twice);
      },
    });
    expect(await attaching(guest)).toBe('ACTION_FAILED');
    expect(guest.said.slice(-2)).toEqual([
      "taking 'net0' away again",
      'not undone: virsh detach-device-alias: refused',
    ]);
    expect(guest.virsh.at(-1)).toBe(unplugs('net0'));
  });
});

test('what libvirt has not given back is an error, and the device is gone all the same', async () => {
  const guest = fakeGuest({ live: status(live), onVirsh: letsGo });
  const left = { uuid: '0b0e1f52-0000-4000-8000-0000000000d1' as Uuid, network: 'vfs', mac };
  const host = { ...guest.host, libvirtPorts: () => [left] };
  const where = { live: true, config: false };
  await expect(detach('g', mac, { where, limitMs: 0, dryRun: false, host })).rejects.toMatchObject({
    code: 'CHECK_FAILED',
    message: expect.stringContaining(`its port ${left.uuid} of network 'vfs' is not deleted`),
  });
});

describe('a guest that ends or goes elsewhere while it is waited for', () => {
  const another = definition('', '0b0e1f52-0000-4000-8000-000000000002');
  test.each([
    ['has ended', undefined],
    ['is another one of that name', another],
  ])('%s: nobody can say that it has let go', async (_, after) => {
    const guest = fakeGuest({
      live: status(live),
      onVirsh: (__, state) => {
        state.live = after;
      },
    });
    expect(await go(guest, mac, '--live')).toBe('GUEST_UNKNOWN');
    expect(guest.said.join()).not.toContain('is detached');
  });
});
