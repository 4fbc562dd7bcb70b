// QEMU's object model as far as a storage daemon needs it: objects made by object-add and --object, their properties,
// the tree that qom-list shows. Read qom-class.ts first, then types/authz.ts, the smallest classes, and object-tree.ts.
//
// Source: QEMU's qom/ as seen from outside; docs/reference/storage-daemon.md section 6.
export { type ForeignObject, ObjectTree } from './object-tree.ts';
export type { QomObject } from './qom-class.ts';
export { objectHelp } from './object-help.ts';
