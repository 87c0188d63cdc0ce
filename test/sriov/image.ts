import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { type DebianSource, findDebianSource, installTools, suite } from './debian.ts';
import { recipe } from './recipe.ts';

/** What a machine is booted from. Boots do not change it. */
export interface Image {
  /** The content of the disk as a directory: a QEMU that can be run from here is in it. */
  readonly root: string;
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

const stamp = createHash('sha256')
  .update(JSON.stringify([suite, recipe]))
  .digest('hex')
  .slice(0, 12);
const cache =
  process.env.ACTUALNET_VM_DIR ??
  path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'actualnet-vm');
const limit = { timeout: 1_800_000 };

/** The image that is there already, if it was built from this recipe. */
export function findImage(): Image | undefined {
  const directory = path.join(cache, stamp);
  return existsSync(directory) ? imageIn(directory) : undefined;
}

/** Builds the image. It appears in the cache when it is complete, so an interrupted build leaves nothing to be mistaken. */
export async function buildImage(): Promise<Image> {
  await installTools();
  const source = await findDebianSource();
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(path.join(cache, 'building-'));
  try {
    const image = imageIn(work);
    await fillRoot(image.root, source);
    settle(image.root);
    copyBootFiles(image);
    await execa('truncate', ['--size', '4G', image.disk]);
    const format = ['-q', '-t', 'ext4', '-O', '^has_journal', '-L', 'actualnet', '-d', image.root, image.disk];
    await execa('mke2fs', format, limit);
    for (const old of readdirSync(cache)) if (isImage(old)) remove(path.join(cache, old));
    renameSync(work, path.join(cache, stamp));
  } catch (error) {
    remove(work);
    throw error;
  }
  return imageIn(path.join(cache, stamp));
}

function imageIn(directory: string): Image {
  const file = (name: string) => path.join(directory, name);
  return { root: file('root'), disk: file('disk.img'), kernel: file('vmlinuz'), initrd: file('initrd.img') };
}

async function fillRoot(root: string, { mirror, aptSettings, proxies }: DebianSource): Promise<void> {
  const include = `--include=${recipe.base.join(',')}`;
  // Older versions do not know the release by name, but it is made as all recent ones.
  const script = existsSync(`/usr/share/debootstrap/scripts/${suite}`) ? [] : ['/usr/share/debootstrap/scripts/sid'];
  await isolated(proxies, 'debootstrap', '--variant=minbase', include, suite, root, mirror, ...script);
  const put = (name: string, text: string) => putFile(root, name, text);
  for (const [name, text] of Object.entries(recipe.early)) put(name, text);
  chmodSync(path.join(root, 'usr/sbin/policy-rc.d'), 0o755);
  put('etc/apt/apt.conf.d/90-mirror', aptSettings);
  put('etc/apt/sources.list', `deb ${mirror} ${suite} main\n`);
  for (const name of ['etc/hosts', 'etc/resolv.conf', 'etc/ssl/certs/ca-certificates.crt']) lend(root, name);
  for (const key of list('/etc/apt/trusted.gpg.d')) lend(root, `etc/apt/trusted.gpg.d/${key}`);
  await inRoot(root, 'apt-get', '--quiet', 'update');
  await inRoot(root, 'apt-get', '--quiet', '--yes', '--no-install-recommends', 'install', ...recipe.packages);
}

/** Makes the packages' system the one that we want to boot. */
function settle(root: string): void {
  for (const name of recipe.removed) remove(path.join(root, name));
  for (const [name, text] of Object.entries(recipe.late)) putFile(root, name, text);
  for (const unit of recipe.masked) {
    const link = path.join(root, 'etc/systemd/system', unit);
    rmSync(link, { force: true });
    symlinkSync('/dev/null', link);
  }
}

function copyBootFiles({ root, kernel, initrd }: Image): void {
  const files = list(path.join(root, 'boot'));
  const copy = (start: string, target: string) =>
    copyFileSync(path.join(root, 'boot', files.find(name => name.startsWith(start))!), target);
  copy('vmlinuz-', kernel);
  copy('initrd.img-', initrd);
}

async function inRoot(root: string, ...command: readonly string[]): Promise<void> {
  const enter = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';
  const environment = ['-', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C', 'DEBIAN_FRONTEND=noninteractive'];
  await isolated({}, 'sh', '-c', enter, root, 'env', ...environment, ...command);
}

/** In a mount namespace, so that no mount outlives the command: the root may have to be removed next. */
async function isolated(env: Readonly<Record<string, string>>, ...command: readonly string[]): Promise<void> {
  await execa('unshare', ['--mount', ...command], { ...limit, env });
}

function lend(root: string, name: string): void {
  if (!existsSync(`/${name}`)) return;
  mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
  copyFileSync(`/${name}`, path.join(root, name));
}

function putFile(root: string, name: string, text: string): void {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function list(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function isImage(name: string): boolean {
  return /^[0-9a-f]{12}$/.test(name);
}

function remove(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
