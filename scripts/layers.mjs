// Who may import whom: the one table of the layers. oxlint.config.mjs turns it into lint rules and
// docs/architecture.md shows it; test/tooling holds all three equal.
//
// A folder of src/ imports from folders of lower levels, through their index.ts, and from itself.
export const layers = [
  ['addon', 'json'],
  ['fds', 'image', 'qmp', 'qemu-types'],
  ['qapi'],
  ['socket', 'qom', 'introspection', 'recording'],
  ['chardev', 'client', 'block'],
  ['monitor', 'nbd', 'shell', 'replay'],
  ['daemon', 'embed', 'testing'],
  ['cli'],
];

/** The level of each folder, counted from 1; files directly in src/ are level 0. */
export const levelOf = new Map(layers.flatMap((folders, index) => folders.map((folder) => [folder, index + 1])));
