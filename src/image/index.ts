// Readers of image headers, pure: bytes in, facts out, hostile input expected. For programs that are given an image by
// name and must tell a daemon what it is; block nodes never look into an image unasked.
//
// Read probe.ts first. Sources: the formats' specifications as QEMU documents them (docs/interop/qcow2.txt and others).
export { probeImageFormat, probeLength, type ImageFormat } from './probe.ts';
