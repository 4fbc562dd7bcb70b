// Which options of an emulator does a test give it? Those that matter are kept in order, those of the machine are dropped.

export interface EmulatorOption {
  readonly name:
    'chardev' | 'mon' | 'qmp' | 'qtest' | 'add-fd' | 'blockdev' | 'object' | 'drive' | 'device' | 'preconfig' | 'S';
  readonly value: string;
}

const kept = new Set(['chardev', 'mon', 'qmp', 'qtest', 'add-fd', 'blockdev', 'object', 'drive', 'device']);
const flags = new Set(['preconfig', 'S']);
const dropped = new Set(
  'L M accel audio cpu display k m machine monitor name net nic qtest-log serial smp trace uuid vga'.split(' '),
);
const droppedFlags = new Set(['no-shutdown', 'no-user-config', 'nodefaults', 'nographic']);

/** @throws Error for an option that is neither carried out nor known to be without meaning here */
export function parseEmulatorLine(args: readonly string[]): EmulatorOption[] {
  const options: EmulatorOption[] = [];
  const words = args.filter((word) => word !== '')[Symbol.iterator]();
  for (const word of words) {
    const name = word.replace(/^--?/, '');
    if (flags.has(name)) options.push({ name: name as EmulatorOption['name'], value: '' });
    else if (kept.has(name)) options.push({ name: name as EmulatorOption['name'], value: words.next().value ?? '' });
    else if (dropped.has(name)) words.next();
    else if (!droppedFlags.has(name)) throw new Error(`${word}: there is no such option here`);
  }
  return options;
}
