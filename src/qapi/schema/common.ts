// Types that several modules share. From QEMU's qapi/common.json.
import { enumeration } from '../builders.ts';
import type { Infer } from '../types.ts';

export const OnOffAuto = enumeration('OnOffAuto', ['auto', 'on', 'off']);
export type OnOffAuto = Infer<typeof OnOffAuto>;
