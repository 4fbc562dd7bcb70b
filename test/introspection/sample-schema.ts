// A small schema as a server answers query-qmp-schema: every kind of type once, names masked.
export const sampleSchema = [
  { name: 'block-add', 'meta-type': 'command', 'arg-type': '1', 'ret-type': '0' },
  { name: 'query-things', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '[2]', 'allow-oob': true },
  { name: 'x-try', 'meta-type': 'command', 'arg-type': '9', 'ret-type': 'any', features: ['unstable', 'deprecated'] },
  { name: 'THING_GONE', 'meta-type': 'event', 'arg-type': '8' },
  { name: '0', 'meta-type': 'object', members: [] },
  {
    name: '1',
    'meta-type': 'object',
    tag: 'driver',
    members: [
      { name: 'driver', type: '3' },
      { name: 'node-name', type: 'str', default: null },
      { name: 'read-only', type: 'bool', default: null, features: ['deprecated'] },
    ],
    variants: [
      { case: 'file', type: '4' },
      { case: 'over', type: '5' },
      { case: 'null', type: '0' },
    ],
  },
  {
    name: '2',
    'meta-type': 'object',
    members: [
      { name: 'size', type: 'int' },
      { name: 'ratio', type: 'number' },
      { name: 'state', type: '6' },
    ],
  },
  {
    name: '3',
    'meta-type': 'enum',
    members: [{ name: 'file' }, { name: 'over' }, { name: 'null' }],
    values: ['file', 'over', 'null'],
  },
  {
    name: '4',
    'meta-type': 'object',
    members: [
      { name: 'filename', type: 'str' },
      { name: 'offset', type: 'int', default: null },
      { name: 'locks', type: '[str]', default: null },
    ],
  },
  {
    name: '5',
    'meta-type': 'object',
    members: [
      { name: 'below', type: '7' },
      { name: 'parts', type: '[4]', default: null },
    ],
  },
  {
    name: '6',
    'meta-type': 'enum',
    members: [{ name: 'up' }, { name: "it's down", features: ['deprecated'] }],
    values: ['up', "it's down"],
  },
  { name: '7', 'meta-type': 'alternate', members: [{ type: '1' }, { type: 'str' }, { type: 'null' }] },
  { name: '8', 'meta-type': 'object', members: [{ name: 'id', type: 'str' }] },
  { name: '9', 'meta-type': 'object', members: [{ name: 'value', type: 'any', default: null }] },
  { name: '[2]', 'meta-type': 'array', 'element-type': '2' },
  { name: '[4]', 'meta-type': 'array', 'element-type': '4' },
  { name: '[str]', 'meta-type': 'array', 'element-type': 'str' },
  { name: 'str', 'meta-type': 'builtin', 'json-type': 'string' },
  { name: 'int', 'meta-type': 'builtin', 'json-type': 'int' },
  { name: 'number', 'meta-type': 'builtin', 'json-type': 'number' },
  { name: 'bool', 'meta-type': 'builtin', 'json-type': 'boolean' },
  { name: 'null', 'meta-type': 'builtin', 'json-type': 'null' },
  { name: 'any', 'meta-type': 'builtin', 'json-type': 'value' },
];
