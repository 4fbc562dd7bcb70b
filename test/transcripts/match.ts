// Does what a server said equal what was recorded? Placeholders (`<int>`, `<fd:NAME>`, `${dir}`) are described in
// test/fixtures/transcripts/README.md.

/** What the placeholders of a scenario stand for. */
export interface Bindings {
  /** The scenario's folder. */
  readonly dir: string;
  /** Number of an fd in the server under the name that the transcript gives it. */
  fds: Map<string, number>;
}

/** The differences between a recorded value and one that came; none if they agree. Binds fd names as it meets them. */
export function differences(want: unknown, got: unknown, bindings: Bindings, path = ''): string[] {
  if (typeof want === 'string') return stringDifferences(want, got, bindings, path);
  if (Array.isArray(want)) {
    if (!Array.isArray(got) || got.length !== want.length) return [`${path}: ${show(got)}, expected ${show(want)}`];
    return want.flatMap((item, index) => differences(item, got[index], bindings, `${path}[${index}]`));
  }
  if (isObject(want)) {
    if (!isObject(got)) return [`${path}: ${show(got)}, expected an object`];
    const missing = Object.keys(want).filter((key) => !(key in got));
    const unexpected = Object.keys(got).filter((key) => !(key in want));
    return [
      ...missing.map((key) => `${path}.${key} missing (expected ${show(want[key])})`),
      ...unexpected.map((key) => `${path}.${key} = ${show(got[key])} unexpected`),
      ...Object.keys(want)
        .filter((key) => key in got)
        .flatMap((key) => differences(want[key], got[key], bindings, `${path}.${key}`)),
    ];
  }
  return want === got ? [] : [`${path}: ${show(got)}, expected ${show(want)}`];
}

function stringDifferences(want: string, got: unknown, bindings: Bindings, path: string): string[] {
  const placeholder = /^<(?:(int|string|any|seconds|microseconds)|fd:(\w+))>$/.exec(want);
  if (placeholder?.[2] !== undefined) return fdDifferences(placeholder[2], got, bindings, path);
  switch (placeholder?.[1]) {
    case undefined: {
      const filled = want
        .replaceAll('${dir}', bindings.dir)
        .replaceAll(/<fd:(\w+)>/g, (all, name: string) => String(bindings.fds.get(name) ?? all));
      return filled === got ? [] : [`${path}: ${show(got)}, expected ${show(filled)}`];
    }
    case 'any':
      return [];
    case 'string':
      return typeof got === 'string' ? [] : [`${path}: ${show(got)} is not a string`];
    default:
      return Number.isInteger(got) ? [] : [`${path}: ${show(got)} is not an integer`];
  }
}

/** The first number seen under a name binds the name; a number that the server uses again gets the new name only. */
function fdDifferences(name: string, got: unknown, bindings: Bindings, path: string): string[] {
  if (typeof got !== 'number' || !Number.isInteger(got)) return [`${path}: ${show(got)} is not an fd number`];
  const bound = bindings.fds.get(name);
  if (bound !== undefined) return bound === got ? [] : [`${path}: fd ${got}, expected ${bound} (<fd:${name}>)`];
  for (const [other, number] of bindings.fds) if (number === got) bindings.fds.delete(other);
  bindings.fds.set(name, got);
  return [];
}

/** The bytes of a message with everything unpredictable replaced, as they were recorded. */
export function normaliseRaw(text: string, { dir, fds }: Bindings): string {
  const names = new Map([...fds].map(([name, number]) => [String(number), name]));
  const named = (all: string, before: string, number: string): string =>
    names.has(number) ? `${before}<fd:${names.get(number)}>` : all;
  return text
    .replaceAll(dir, '${dir}')
    .replaceAll(/("timestamp": \{\s*"seconds": )\d+(,\s*"microseconds": )\d+/g, '$1<seconds>$2<microseconds>')
    .replaceAll(
      /("qemu": \{\s*"micro": )\d+(,\s*"minor": )\d+(,\s*"major": )\d+(\s*\},\s*"package": )"[^"]*"/g,
      '$1<int>$2<int>$3<int>$4<string>',
    )
    .replaceAll(/("fd": )(\d+)/g, named)
    .replaceAll(/(\bfd[:=])(\d+)\b/g, named);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing';
}
