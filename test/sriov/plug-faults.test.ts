import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FaultHost, faults, installFaults, runWithFault } from '../helpers/faults.ts';
import { settles, titled } from '../libvirt/expectations.ts';
import { cardState, cards, makeVfs, removeVfs, vfAddress } from './cards.ts';
import { hostdevInterface, hostdevNetwork, onNetwork, smallOsGuestXml, vlanTag } from './documents.ts';
import { define, forgetAll, GuestConsole, installSmallOs, startNetwork } from './guests.ts';
import { installHooks, removeHooks } from './hooks.ts';
import { isFull, missingMachine, useMachine } from './use-machine.ts';

const [card] = cards;
const mac = '52:54:00:c0:00:02';
const wanted = /vlan 42 qos 3 .*trust on spoofchk off .* driver vfio-pci/;
const settlesInside = { ...settles, timeout: 120_000 };

const missing = missingMachine ?? (isFull ? undefined : 'only in the full form');

describe.skipIf(missing)(titled('every program that is run while a VF is plugged', missing), () => {
  const machine = useMachine();
  const host: FaultHost = {
    shell: (script, input) => machine.sh(script, input === undefined ? {} : { input }),
    // Nothing can be run from /run there.
    directory: '/opt/fault',
  };
  const points: string[] = [];
  let named = '';
  let before: string[];

  beforeAll(async () => {
    await installHooks(machine);
    await installSmallOs(machine);
    await makeVfs(machine, card, 2);
    named = hostdevInterface(await vfAddress(machine, card, 1), mac, { inside: vlanTag(42) });
    const rule = `{ match: { pf: ${card} }, trust: true, spoofchk: false, vlanQos: 3 }`;
    await machine.putFile('/etc/actualnet/config.yaml', `hostdevs: { restore: true }\ninterfaces: [${rule}]\n`);
    await startNetwork(machine, hostdevNetwork('pool', { pf: card }));
    await installFaults(host);
    before = await cardState(machine);
    await define(machine, smallOsGuestXml({ name: 'small' }, { subnet: '192.168.50', peer: '192.168.50.254' }));
    await machine.sh('virsh start small; systemctl start actualnet-agent');
    await new GuestConsole(machine, 'small').next(/guest: ready/);
  });
  afterAll(async () => {
    console.log(['| what | fault | at | then |', '|---|---|---|---|', ...points].join('\n'));
    await machine.sh('systemctl stop actualnet-agent; virsh destroy small');
    await forgetAll(machine);
    await removeVfs(machine, card);
    await removeHooks(machine);
  });

  const isThere = async () => (await machine.sh('virsh dumpxml small')).includes(mac);
  const agrees = () =>
    expect.poll(() => machine.sh('actualnet status --check small || :'), settlesInside).toBe('everything agrees');
  const settings = async () => (await cardState(machine)).filter(line => wanted.test(line)).length;
  /** Asked while it still finds out what it was given, a guest may not hear it. */
  const detach = () => {
    const words = `actualnet detach small ${mac} --timeout 60`;
    return machine.sh(`${words} || ${words}`);
  };

  test.each(faults)(
    '$fault: attaching ends with all of it or nothing',
    {
      timeout: 3_600_000,
    },
    async ({ fault }) => {
      for (let at = 1; ; at++) {
        const device = at % 2 === 0 ? named : onNetwork('pool', mac, vlanTag(42));
        const met = await runWithFault(host, 'actualnet attach small - --live', { fault, at, input: device });
        await agrees();
        const wasThere = await isThere();
        if (wasThere) {
          await expect.poll(settings, settlesInside).toBe(1);
          await detach();
        }
        await expect.poll(() => cardState(machine), settlesInside).toEqual(before);
        if (met === undefined) break;
        points.push(`| attach | ${fault} | ${met} | ${wasThere ? 'as wanted' : 'as before'} |`);
      }
      expect(points.filter(point => point.startsWith(`| attach | ${fault}`)).length).toBeGreaterThan(1);
    },
  );

  test.each(faults)(
    '$fault: detaching ends with all of it or nothing',
    {
      timeout: 3_600_000,
    },
    async ({ fault }) => {
      for (let at = 1; ; at++) {
        // Of one from a pool, libvirt's own hook call puts back what it had.
        await machine.sh('actualnet attach small - --live', { input: named });
        const met = await runWithFault(host, `actualnet detach small ${mac} --timeout 60`, { fault, at });
        await agrees();
        const isStill = await isThere();
        if (isStill) {
          await expect.poll(settings, settlesInside).toBe(1);
          await detach();
        }
        await expect.poll(() => cardState(machine), settlesInside).toEqual(before);
        if (met === undefined) break;
        points.push(`| detach | ${fault} | ${met} | ${isStill ? 'as before' : 'as wanted'} |`);
      }
      expect(points.filter(point => point.startsWith(`| detach | ${fault}`)).length).toBeGreaterThan(1);
    },
  );
});
