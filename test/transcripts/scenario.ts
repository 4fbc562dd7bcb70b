// What is a recorded transcript made of? The format is described in test/fixtures/transcripts/README.md; this file reads
// it and applies the variants.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A file made before the server starts. */
export interface FileSpec {
  readonly format?: 'raw' | 'qcow2' | 'text' | 'dir' | 'fifo';
  readonly size?: number;
  readonly fill?: number;
  readonly text?: string;
  readonly backing?: string;
  readonly 'backing-format'?: string;
  readonly options?: string;
  readonly mode?: string;
}

/** Bytes of one write: `text`, `hex` or `parts`, with the fds that ride on the first of them. */
export interface WriteSpec {
  readonly text?: string;
  readonly hex?: string;
  readonly parts?: readonly (WriteSpec & { readonly repeat?: number })[];
  readonly fds?: readonly string[];
}

export interface NbdAction {
  readonly do: 'open' | 'read' | 'write' | 'flush' | 'close';
  readonly as?: string;
  readonly socket?: string;
  readonly export?: string;
  readonly offset?: number;
  readonly length?: number;
  readonly byte?: number;
}

export interface ReadFileSpec {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
  readonly hex: string;
}

export interface Step {
  readonly note?: string;
  readonly conn?: string;
  readonly connect?: string;
  readonly monitor?: number;
  readonly close?: string;
  readonly send?: string;
  readonly hex?: string;
  readonly parts?: WriteSpec['parts'];
  readonly fds?: readonly string[];
  readonly writes?: readonly WriteSpec[];
  readonly shutdown?: boolean;
  readonly signal?: number;
  readonly unblock?: string;
  readonly nbd?: NbdAction;
  readonly outcome?: unknown;
  readonly 'fd-flags'?: Readonly<Record<string, string>>;
  readonly 'read-file'?: ReadFileSpec;
  readonly exit?: number;
  readonly expect?: readonly unknown[];
  readonly raw?: string;
  readonly unordered?: boolean;
  readonly 'expect-eof'?: boolean;
  /** The name of the fd that add-fd returns. */
  readonly bind?: string;
  readonly variants?: Readonly<Record<string, Partial<Step>>>;
}

export interface ScenarioHeader {
  readonly scenario: string;
  readonly server: 'storage-daemon' | 'system';
  readonly monitors?: number;
  readonly 'monitor-options'?: string;
  readonly args?: readonly string[];
  readonly 'inherit-fds'?: readonly string[];
  readonly files?: Readonly<Record<string, FileSpec>>;
}

export interface Scenario {
  readonly topic: string;
  readonly title: string;
  readonly header: ScenarioHeader;
  readonly steps: readonly Step[];
}

/**
 * All scenarios of a folder of transcripts, with the named variants of each step in force where there are any; of two
 * that change the same field the later name wins.
 */
export function loadScenarios(folder: string, variants: readonly string[]): Scenario[] {
  const scenarios: (Scenario & { steps: Step[] })[] = [];
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith('.jsonl')) continue;
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n')) {
      if (line.trim() === '') continue;
      const entry = JSON.parse(line) as ScenarioHeader | Step;
      if ('scenario' in entry) {
        scenarios.push({ topic: basename(name, '.jsonl'), title: entry.scenario, header: entry, steps: [] });
      } else {
        scenarios
          .at(-1)
          ?.steps.push(variants.reduce((step, name) => applyVariant(step, entry.variants?.[name]), entry));
      }
    }
  }
  return scenarios;
}

/** A variant's null takes a field of the step away. A variant without `raw` has other bytes than the recorded ones. */
export function applyVariant(step: Step, variant: Partial<Step> | undefined): Step {
  if (variant === undefined) return step;
  const replaced = { ...step, raw: null, ...variant };
  return Object.fromEntries(Object.entries(replaced).filter(([, value]) => value !== null)) as Step;
}

/** The command of a step that sends exactly one well-formed request. */
export function commandOf(step: Step): string | undefined {
  try {
    const request = JSON.parse(step.send ?? '') as { execute?: unknown };
    return typeof request.execute === 'string' ? request.execute : undefined;
  } catch {
    return undefined;
  }
}
