// What do QEMU 10.0 and 7.2 understand? Types for `QmpClient<Qemu10>`, made by `npm run types` from the schemas of the real
// programs (qemu-system-x86_64): nothing in these files is written by hand.
export type { Qemu10 } from './qemu-10.0.ts';
export type { Qemu7 } from './qemu-7.2.ts';
