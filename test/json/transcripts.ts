// The transcripts recorded from QEMU (test/fixtures/transcripts, its README explains them) as bytes and messages.
import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../../../test/fixtures/transcripts/', import.meta.url);

export interface Piece {
  readonly text?: string;
  readonly hex?: string;
  readonly repeat?: number;
}

/** One line of a transcript; only what is used here. */
export interface Step {
  readonly scenario?: string;
  readonly note?: string;
  readonly connect?: string;
  readonly conn?: string;
  readonly 'monitor-options'?: string;
  readonly send?: string;
  readonly hex?: string;
  readonly parts?: readonly Piece[];
  readonly writes?: readonly Piece[];
  readonly raw?: string;
  readonly variants?: Readonly<Record<string, { readonly raw?: string }>>;
}

/** The names of all transcripts. */
export function topics(): string[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  return files.map((name) => name.slice(0, -'.jsonl'.length));
}

/** The lines of a transcript. */
export function steps(topic: string): Step[] {
  const text = readFileSync(new URL(`${topic}.jsonl`, folder), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Step);
}

/** What a step writes, one entry per write. */
export function writes(step: Step): Buffer[] {
  if (step.send !== undefined) return [Buffer.from(substitute(step.send))];
  if (step.hex !== undefined) return [Buffer.from(step.hex, 'hex')];
  if (step.parts !== undefined) return [Buffer.concat(step.parts.map(bytesOf))];
  return (step.writes ?? []).map(bytesOf);
}

/** What the server wrote, with likely values in place of the unpredictable ones. */
export function raw(step: { readonly raw?: string }): string {
  return substitute(step.raw ?? '')
    .replaceAll(/<(int|seconds|microseconds|fd:\w+)>/g, '17')
    .replaceAll('<string>', '"text"');
}

function substitute(text: string): string {
  return text.replaceAll('${dir}', '/tmp/dir').replaceAll(/\$\{(fd|inherit):\w+\}/g, '17');
}

function bytesOf(piece: Piece): Buffer {
  const bytes = piece.hex === undefined ? Buffer.from(substitute(piece.text ?? '')) : Buffer.from(piece.hex, 'hex');
  return Buffer.concat(Array.from({ length: piece.repeat ?? 1 }, () => bytes));
}
