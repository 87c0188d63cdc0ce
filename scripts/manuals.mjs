// Makes manual pages and completions in a directory: actualnet(8) and completion from the commands' own definitions,
// actualnet.yaml(5) from the configuration's schema.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

/** Writes DIRECTORY/man and DIRECTORY/completions. */
export async function makeManuals(directory, { date, ...options }) {
  const commands = await describe(options);
  const schema = JSON.parse(readFileSync('schemas/config.schema.json', 'utf8'));
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  mkdirSync(path.join(directory, 'man'));
  mkdirSync(path.join(directory, 'completions'));
  const write = (name, text) => writeFileSync(path.join(directory, name), text);
  write('man/actualnet.8', commandManual(commands, version, date));
  write('man/actualnet.yaml.5', configManual(schema, version, date));
  write('completions/actualnet.bash', bash(commands));
  write('completions/_actualnet', zsh(commands));
  write('completions/actualnet.fish', fish(commands));
}

async function describe(options) {
  const place = mkdtempSync(path.resolve('dist/.describe-'));
  try {
    const outfile = path.join(place, 'describe.cjs');
    await build({ ...options, entryPoints: ['src/cli/describe.ts'], format: 'cjs', outfile });
    const { describeCommands } = (await import(pathToFileURL(outfile))).default;
    return await describeCommands();
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Text for troff, in lines of a usual length: nothing in it is taken for a request or an escape. */
const plain = text =>
  text
    .replace(/(?=\S)(.{1,70})(?:\s+|$)/g, '$1\n')
    .trimEnd()
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replace(/^([.])/gm, '\\&$1');

const groups = {
  look: 'Looking',
  compute: 'Computing, touching nothing',
  act: 'Acting on the host',
  service: 'For services',
};

function commandManual(commands, version, date) {
  const sections = Object.entries(groups).flatMap(([group, title]) => [
    `.SS ${title}`,
    ...commands.filter(command => command.group === group).flatMap(describeCommand),
  ]);
  return `${[
    `.TH ACTUALNET 8 "${date}" "actualnet ${version}" "System administration"`,
    '.SH NAME',
    'actualnet \\- the host side of a libvirt guest\\(aqs network interfaces',
    '.SH SYNOPSIS',
    '.B actualnet',
    '.RI [ command ]',
    '.RI [ arguments ]',
    '.br',
    '.B actualnet \\-\\-version',
    '.RB [ \\-\\-verbose ]',
    '.SH DESCRIPTION',
    plain(
      "actualnet is called by libvirt's hooks, and follows guests with its agent. This command looks at what it knows and does, and",
    ),
    plain('does by hand what hooks do. Without a command it shows this host at a glance.'),
    '.SH COMMANDS',
    ...sections,
    '.SH EXIT STATUS',
    ...[
      ['0', 'fine'],
      ['1', 'failed'],
      ['2', 'wrong usage'],
      ['3', 'refused, or what was looked at is not as it should be'],
    ].flatMap(([status, what]) => ['.TP', `.B ${status}`, plain(what)]),
    '.SH FILES',
    ...[
      ['/etc/actualnet/config.yaml', 'what actualnet is to do, see actualnet.yaml(5)'],
      ['/etc/libvirt/hooks/qemu.d/50-actualnet, /etc/libvirt/hooks/network.d/50-actualnet', 'the hooks'],
      ['/run/actualnet', 'what is known and applied, until the next boot'],
      ['/var/log/actualnet.log', 'findings and errors'],
    ].flatMap(([file, what]) => ['.TP', `.I ${plain(file)}`, plain(what)]),
    '.SH SEE ALSO',
    '.BR actualnet.yaml (5),',
    '.BR virsh (1)',
  ].join('\n')}\n`;
}

function describeCommand({ words, summary, examples, arguments: args }) {
  const described = args.flatMap(({ name, isPositional, takesValue, describe, choices, default: usual }) => {
    const label = isPositional ? `.I ${plain(name)}` : `.B ${plain(`--${name}`)}${takesValue ? ' \\fIVALUE\\fR' : ''}`;
    const more = [
      ...(choices.length > 0 ? [`one of ${choices.join(', ')}`] : []),
      ...(usual === null ? [] : [`default: ${usual}`]),
    ];
    return ['.TP', label, plain(`${describe}${more.length === 0 ? '' : ` (${more.join('; ')})`}`)];
  });
  return [
    '.TP',
    `.B ${plain(words)}`,
    plain(summary),
    ...(described.length === 0 ? [] : ['.RS', ...described, '.RE']),
    ...examples.flatMap(([line, what]) => ['.IP', `${plain(what)}:`, '.br', `.B ${plain(`actualnet ${line}`)}`]),
  ];
}

function configManual(schema, version, date) {
  return `${[
    `.TH ACTUALNET.YAML 5 "${date}" "actualnet ${version}" "File formats"`,
    '.SH NAME',
    'actualnet.yaml \\- configuration of actualnet',
    '.SH SYNOPSIS',
    `.I ${plain('/etc/actualnet/config.yaml')}`,
    '.br',
    `.I ${plain('/etc/actualnet/conf.d/*.yaml')}`,
    '.SH DESCRIPTION',
    plain(
      'YAML, read at each call of a hook; comments are welcome, every key is optional, and what is left out changes nothing on',
    ),
    plain("the host. 'actualnet check' names every mistake with file, line and key."),
    '.SH KEYS',
    ...keys(schema, schema, ''),
    '.SH SEE ALSO',
    '.BR actualnet (8)',
  ].join('\n')}\n`;
}

/** Every key below a schema by its path, with what is said of it; `NAME` and `[]` stand for what is chosen. */
function keys(node, root, at) {
  const schema =
    node.$ref === undefined
      ? node
      : {
          ...node.$ref
            .split('/')
            .slice(1)
            .reduce((from, key) => from[key], root),
          ...node,
        };
  const inside = [
    ...Object.entries(schema.properties ?? {}).map(([key, value]) => [at === '' ? key : `${at}.${key}`, value]),
    ...(typeof schema.additionalProperties === 'object' ? [[`${at}.NAME`, schema.additionalProperties]] : []),
    ...Object.entries(schema.patternProperties ?? {}).map(([, value]) => [`${at}.NAME`, value]),
    ...(schema.items === undefined || schema.items.type === 'string' ? [] : [[`${at}[]`, schema.items]]),
  ];
  return inside.flatMap(([key, value]) => {
    const told = [value.description, describeType(value, root)].filter(Boolean).join('. ');
    return ['.TP', `.B ${plain(key)}`, plain(told || 'a group of keys'), ...keys(value, root, key)];
  });
}

function describeType(value, root) {
  const schema =
    value.$ref === undefined
      ? value
      : value.$ref
          .split('/')
          .slice(1)
          .reduce((from, key) => from[key], root);
  const choices = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  return [
    choices === undefined ? (schema.type === 'object' ? undefined : schema.type) : `One of ${choices.join(', ')}`,
    schema.default === undefined ? undefined : `default: ${JSON.stringify(schema.default)}`,
  ]
    .filter(part => part !== undefined)
    .map(String)
    .join(', ');
}

const inQuotes = text => `'${text.replaceAll("'", `'\\''`)}'`;
const options = ({ arguments: args }) => args.filter(({ isPositional }) => !isPositional);
const names = commands => commands.map(({ name }) => name).join(' ');
const takesGuest = ({ arguments: args }) => args.some(({ name, isPositional }) => isPositional && name === 'guest');

function bash(commands) {
  const cases = commands.map(command => {
    const own = [...options(command).map(({ name }) => `--${name}`), '--help'].join(' ');
    const values = options(command)
      .filter(({ choices }) => choices.length > 0)
      .map(
        ({ name, choices }) =>
          `      --${name}) COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$cur")); return ;;\n`,
      );
    const choice = values.length === 0 ? '' : `      case $prev in\n${values.join('')}      esac\n`;
    const guests = takesGuest(command)
      ? '      [[ $cur == -* ]] || COMPREPLY+=($(compgen -W "$(_actualnet_guests)" -- "$cur"))\n'
      : '';
    return `    ${command.name})\n${choice}      COMPREPLY=($(compgen -W '${own}' -- "$cur"))\n${guests}      ;;\n`;
  });
  return `# bash completion for actualnet

# Guests that run, by libvirt's own files.
_actualnet_guests() {
  local file
  for file in /run/libvirt/qemu/*.xml; do
    [[ -e $file ]] || continue
    file=\${file##*/}
    printf '%s\\n' "\${file%.xml}"
  done
}

_actualnet() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W '${names(commands)} --help --version' -- "$cur"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('')}  esac
}
complete -o default -F _actualnet actualnet
`;
}

function zsh(commands) {
  const escaped = text => text.replace(/[[\]:']/g, character => (character === "'" ? `'\\''` : `\\${character}`));
  const cases = commands.map(command => {
    const words = command.arguments.map(({ name, isPositional, describe, choices, takesValue }) => {
      const values = choices.length > 0 ? `(${choices.join(' ')})` : name === 'guest' ? '_actualnet_guests' : '_files';
      return isPositional
        ? `'::${escaped(name)}:${values}'`
        : `'--${name}[${escaped(describe)}]${takesValue ? `:${name}:${values}` : ''}'`;
    });
    return `    ${command.name}) _arguments -s '--help[shows its page]' ${words.join(' ')} ;;\n`;
  });
  return `#compdef actualnet

_actualnet_guests() {
  local -a guests
  guests=(/run/libvirt/qemu/*.xml(N:t:r))
  _describe guest guests
}

_actualnet() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    '${name}:${escaped(summary)}'\n`).join('')}  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${cases.join('')}  esac
}

_actualnet "$@"
`;
}

function fish(commands) {
  const lines = commands.flatMap(command => [
    `complete -c actualnet -n __fish_use_subcommand -f -a ${command.name} -d ${inQuotes(command.summary)}`,
    ...options(command).map(({ name, describe, choices, takesValue }) => {
      const values = choices.length > 0 ? ` -x -a ${inQuotes(choices.join(' '))}` : takesValue ? ' -r' : '';
      return `complete -c actualnet -n '__fish_seen_subcommand_from ${command.name}' -l ${name}${values} -d ${inQuotes(describe)}`;
    }),
    ...(takesGuest(command)
      ? [`complete -c actualnet -n '__fish_seen_subcommand_from ${command.name}' -f -a '(__actualnet_guests)'`]
      : []),
  ]);
  return `# fish completion for actualnet
function __actualnet_guests
    for file in /run/libvirt/qemu/*.xml
        string replace -r '.*/(.*)\\.xml$' '$1' -- $file
    end
end

${lines.join('\n')}
`;
}
