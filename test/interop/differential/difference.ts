// Where do two servers differ, and how is it shown?
import type { StepRecord } from './run-script.ts';

/** The first step of which the answers differ, or undefined. */
export function firstDifference(
  left: readonly StepRecord[],
  right: readonly StepRecord[],
): { readonly step: number } | undefined {
  const steps = Math.max(left.length, right.length);
  for (let step = 0; step < steps; step++) {
    if (!equal(left[step]?.answers, right[step]?.answers)) return { step };
  }
  return undefined;
}

/** An answer of ours that is another one on purpose; docs/decisions/block-layer.md has the reasons. */
const ON_PURPOSE = /"Could not open '[^']*': it is not the file that the node was opened with"/;

/** Whether ours has answered otherwise on purpose: what follows cannot be compared. */
export function isOnPurpose(ours: readonly StepRecord[]): boolean {
  return ours.some(({ answers }) => answers.some((answer) => ON_PURPOSE.test(answer)));
}

export function equal(left: readonly string[] | undefined, right: readonly string[] | undefined): boolean {
  return left?.length === right?.length && (left ?? []).every((line, index) => line === right?.[index]);
}

/** The whole script up to its difference, with both answers from there. */
export function show(
  names: readonly [string, string],
  left: readonly StepRecord[],
  right: readonly StepRecord[],
): string {
  const found = firstDifference(left, right);
  if (found === undefined) return 'no difference';
  const lines: string[] = [];
  for (let step = 0; step <= found.step; step++) {
    const { what, writes } = left[step] ?? right[step]!;
    lines.push(`${what}:`);
    for (const { bytes, files } of writes) {
      const fds = files.length > 0 ? `   with files ${files.join(', ')}` : '';
      lines.push(`  ${printable(Buffer.from(bytes).toString('latin1'))}${fds}`);
    }
  }
  for (const [name, record] of [
    [names[0], left],
    [names[1], right],
  ] as const) {
    lines.push(`${name}:`);
    const answers = record[found.step]?.answers ?? [];
    const other = (record === left ? right : left)[found.step]?.answers ?? [];
    answers.forEach((answer, index) => lines.push(`${answer === other[index] ? '  ' : '! '}${printable(answer)}`));
  }
  return lines.join('\n');
}

/** As it stands, but for bytes that are not printable ASCII. */
function printable(text: string): string {
  const shown = text.replaceAll(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return shown.length > 2000 ? `${shown.slice(0, 2000)}… (${shown.length} bytes)` : shown;
}
