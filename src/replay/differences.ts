// How does an answer differ from the recorded one? Numbers of fds, names that QEMU makes up, and times differ between any two runs and are not
// compared; ids of fd sets that the server has chosen are those of this run.
import { isJsonObject, JsonDouble, type JsonValue } from '../json/index.ts';

/** Members whose value belongs to one run only. */
const ofOneRun: ReadonlySet<string> = new Set(['fd', 'timestamp', 'pid', 'thread-id']);

/** Ids of fd sets: the recorded one, and the one of this run. */
export type SetIds = ReadonlyMap<string, number | bigint>;

/**
 * One line for each difference: `[0].file: "a" was recorded, "b" came`.
 *
 * @param got plain values, as a client hands them out
 * @param ignored more names of members that are not compared
 */
export function differences(
  recorded: JsonValue,
  got: unknown,
  sets: SetIds,
  ignored: ReadonlySet<string>,
  place = '',
): string[] {
  if (isJsonObject(recorded) && isPlainObject(got)) {
    const names = new Set([...recorded.keys(), ...Object.keys(got)]);
    return [...names].flatMap((name) => {
      if (ofOneRun.has(name) || ignored.has(name)) return [];
      const inner = place === '' ? name : `${place}.${name}`;
      if (!recorded.has(name)) return [`${inner}: was not recorded, ${shown(got[name])} came`];
      if (!Object.hasOwn(got, name)) return [`${inner}: ${shown(recorded.get(name))} was recorded, nothing came`];
      return differences(renumbered(name, recorded.get(name)!, sets), got[name], sets, ignored, inner);
    });
  }
  if (Array.isArray(recorded) && Array.isArray(got)) {
    const lists = recorded.flatMap((element, index) =>
      index < got.length ? differences(element, got[index], sets, ignored, `${place}[${index}]`) : [],
    );
    if (recorded.length === got.length) return lists;
    return [...lists, `${place || 'the list'}: ${recorded.length} elements were recorded, ${got.length} came`];
  }
  const expected = renumbered('', recorded, sets);
  const isSame = expected instanceof JsonDouble ? expected.value === got : same(expected, got);
  return isSame ? [] : [`${place === '' ? '' : `${place}: `}${shown(expected)} was recorded, ${shown(got)} came`];
}

/** A value with the ids of this run: of a member `fdset-id`, and in names of files. */
export function renumbered(name: string, value: JsonValue, sets: SetIds): JsonValue {
  if (typeof value === 'string') return renumberedText(value, sets);
  if (name !== 'fdset-id' || (typeof value !== 'number' && typeof value !== 'bigint')) return value;
  return sets.get(String(value)) ?? value;
}

export function renumberedText(text: string, sets: SetIds): string {
  return text.replaceAll(/\/dev\/fdset\/(\d+)/g, (whole, id: string) =>
    sets.has(id) ? `/dev/fdset/${sets.get(id)}` : whole,
  );
}

function same(a: JsonValue, b: unknown): boolean {
  if (isMadeUp(a) && isMadeUp(b)) return true;
  return a === b;
}

/** The name that QEMU gives a node without one. */
function isMadeUp(value: unknown): boolean {
  return typeof value === 'string' && /^#block\d+$/.test(value);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, member: unknown) => {
    if (typeof member === 'bigint') return String(member);
    if (member instanceof JsonDouble) return member.value;
    return member instanceof Map ? Object.fromEntries(member as Map<string, unknown>) : member;
  });
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}
