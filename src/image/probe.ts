// Which format does an image header claim? Looks at magic numbers only; what no magic claims is raw.
//
// Probing is for programs that open images for a user who named them (`fdset serve`). A block node never probes: the
// guest writes a raw disk, so it could make one look like a qcow2 that names any file of the host as its backing file.

/** The formats that a header can be told apart as; named as QEMU's block drivers. */
export type ImageFormat =
  'raw' | 'qcow2' | 'qcow' | 'vmdk' | 'vdi' | 'vhdx' | 'vpc' | 'qed' | 'parallels' | 'luks' | 'bochs' | 'cloop';

/** Give {@link probeImageFormat} this many bytes from the start of the image, or all of it where it is smaller. */
export const probeLength = 2048;

interface Magic {
  readonly format: ImageFormat;
  readonly offset: number;
  readonly bytes: Buffer;
}

const magics: readonly Magic[] = [
  { format: 'vmdk', offset: 0, bytes: Buffer.from('KDMV') },
  { format: 'vmdk', offset: 0, bytes: Buffer.from('COWD') },
  { format: 'vhdx', offset: 0, bytes: Buffer.from('vhdxfile') },
  { format: 'vpc', offset: 0, bytes: Buffer.from('conectix') },
  { format: 'qed', offset: 0, bytes: Buffer.from('QED\0') },
  { format: 'parallels', offset: 0, bytes: Buffer.from('WithoutFreeSpace') },
  { format: 'parallels', offset: 0, bytes: Buffer.from('WithouFreSpacExt') },
  { format: 'luks', offset: 0, bytes: Buffer.from('LUKS\xba\xbe', 'latin1') },
  { format: 'bochs', offset: 0, bytes: Buffer.from('Bochs Virtual HD Image\0') },
  { format: 'cloop', offset: 0, bytes: Buffer.from('#!/bin/sh\n#V2.0 Format\n') },
  { format: 'vdi', offset: 0x40, bytes: Buffer.from([0x7f, 0x10, 0xda, 0xbe]) },
];

const qcowMagic = Buffer.from('QFI\xfb', 'latin1');
const vmdkDescriptor = /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*version[ \t]*=[ \t]*[123]\b/;

/**
 * The format that `header`, the first bytes of an image, claims to be in. Never throws: short, empty and hostile
 * headers are raw, or whatever their first bytes say.
 *
 * A dmg and a fixed-size vpc carry their magic at the end of the file, and so count as raw.
 */
export function probeImageFormat(header: Uint8Array): ImageFormat {
  const bytes = Buffer.from(header.buffer, header.byteOffset, Math.min(header.byteLength, probeLength));
  if (hasMagic(bytes, 0, qcowMagic)) return qcowVersion(bytes);
  const found = magics.find((magic) => hasMagic(bytes, magic.offset, magic.bytes));
  if (found !== undefined) return found.format;
  return isVmdkDescriptor(bytes) ? 'vmdk' : 'raw';
}

function hasMagic(bytes: Buffer, offset: number, magic: Buffer): boolean {
  return (
    bytes.length >= offset + magic.length && bytes.compare(magic, 0, magic.length, offset, offset + magic.length) === 0
  );
}

/** qcow and qcow2 share a magic and differ in the version behind it, a big-endian 32-bit number. */
function qcowVersion(bytes: Buffer): ImageFormat {
  const version = bytes.length >= 8 ? bytes.readUInt32BE(4) : 0;
  if (version === 2 || version === 3) return 'qcow2';
  return version === 1 ? 'qcow' : 'raw';
}

/** A vmdk may be a text file that names its extents: comments and empty lines, then `version=1`. */
function isVmdkDescriptor(bytes: Buffer): boolean {
  if (bytes[0] !== 0x23) return false; // '#', as every writer of such files begins
  return vmdkDescriptor.test(bytes.toString('latin1'));
}
