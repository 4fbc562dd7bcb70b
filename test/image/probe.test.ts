// Does the probe know each magic, and nothing else?
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { probeImageFormat, probeLength, type ImageFormat } from '../../src/image/index.ts';

const headers: readonly (readonly [string, ImageFormat, Buffer])[] = [
  ['a qcow2 of version 3', 'qcow2', Buffer.from('514649fb00000003', 'hex')],
  ['a qcow2 of version 2', 'qcow2', Buffer.from('514649fb00000002', 'hex')],
  ['a qcow of version 1', 'qcow', Buffer.from('514649fb00000001', 'hex')],
  ['a sparse vmdk', 'vmdk', Buffer.from('4b444d5601000000', 'hex')],
  ['a vmdk of ESX 3', 'vmdk', Buffer.from('434f574401000000', 'hex')],
  ['a vmdk descriptor', 'vmdk', Buffer.from('# Disk DescriptorFile\nversion=1\nCID=fffffffe\n')],
  ['a vmdk descriptor with CRLF', 'vmdk', Buffer.from('# Disk DescriptorFile\r\n\r\n# x\r\n version = 3\r\n')],
  ['a vhdx', 'vhdx', Buffer.from('vhdxfile')],
  ['a dynamic vpc', 'vpc', Buffer.from('conectix\0\0\0\x02')],
  ['a qed', 'qed', Buffer.from('QED\0')],
  ['a parallels image', 'parallels', Buffer.from('WithoutFreeSpace')],
  ['an extended parallels image', 'parallels', Buffer.from('WithouFreSpacExt')],
  ['a luks volume', 'luks', Buffer.from('4c554b53babe0001', 'hex')],
  ['a bochs image', 'bochs', Buffer.from('Bochs Virtual HD Image\0')],
  ['a cloop', 'cloop', Buffer.from('#!/bin/sh\n#V2.0 Format\nmodprobe cloop\n')],
  ['a vdi', 'vdi', Buffer.concat([Buffer.alloc(64), Buffer.from('7f10dabe', 'hex')])],
  ['an empty file', 'raw', Buffer.alloc(0)],
  ['zeros', 'raw', Buffer.alloc(probeLength)],
  ['the magic of qcow2 alone', 'raw', Buffer.from('514649fb', 'hex')],
  ['a qcow2 of a version from the future', 'raw', Buffer.from('514649fb00000004', 'hex')],
  ['a magic that is one byte short', 'raw', Buffer.from('vhdxfil')],
  ['the magic of qcow2 at another offset', 'raw', Buffer.from('00514649fb00000003', 'hex')],
  ['a shell script', 'raw', Buffer.from('#!/bin/sh\necho version=1\n')],
  ['a vmdk descriptor of an unknown version', 'raw', Buffer.from('# Disk DescriptorFile\nversion=4\n')],
];

for (const [name, format, header] of headers) {
  test(`${name} is ${format}`, () => {
    assert.equal(probeImageFormat(header), format);
  });
}

test('a view into a larger buffer is probed from its own start', () => {
  const whole = Buffer.concat([Buffer.from('vhdxfile'), Buffer.from('514649fb00000003', 'hex')]);
  assert.equal(probeImageFormat(new Uint8Array(whole.buffer, whole.byteOffset + 8, 8)), 'qcow2');
});

test('a header full of comment lines takes no long time', () => {
  const hostile = Buffer.from('#\n'.repeat(1 << 20));
  assert.equal(probeImageFormat(hostile), 'raw');
});
