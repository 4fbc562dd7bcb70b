// The object secret: a key or password, given as text or read from a file, plain or base64, and encrypted with another
// secret where keyid names one: AES-256-CBC with PKCS 7 padding, as QEMU has it.
import { createDecipheriv } from 'node:crypto';
import { open } from 'node:fs/promises';

import { strerror } from '../../addon/index.ts';
import { SecretCommonProperties, SecretProperties } from '../../qapi/index.ts';
import { type CompletionContext, qomError, type QomClass, type QomObject } from '../qom-class.ts';

/** The longest file that is taken for a secret, in bytes: /dev/zero has no end. */
const MAX_FILE = 1 << 20;
const KEY_LENGTH = 32;
const BLOCK_LENGTH = 16;

export const secretCommon: QomClass = {
  name: 'secret_common',
  abstract: true,
  struct: SecretCommonProperties,
  defaults: { format: 'raw', keyid: '', iv: '' },
};

/** Its content is what it stands for: a Buffer. */
export const secret: QomClass = {
  name: 'secret',
  parent: secretCommon,
  creatable: true,
  struct: SecretProperties,
  defaults: { data: '', file: '' },
  async complete(object, context) {
    const given = await readInput(object);
    object.content = text(object, 'keyid') === undefined ? decodePlain(object, given) : decrypt(object, given, context);
  },
};

function text(object: QomObject, name: string): string | undefined {
  return object.values.get(name) as string | undefined;
}

async function readInput(object: QomObject): Promise<Buffer> {
  const data = text(object, 'data');
  const file = text(object, 'file');
  if (file === undefined) {
    if (data === undefined) throw qomError("Either 'file' or 'data' must be provided");
    return Buffer.from(data);
  }
  if (data !== undefined) throw qomError("'file' and 'data' are mutually exclusive");
  return readSecretFile(file);
}

async function readSecretFile(path: string): Promise<Buffer> {
  let step = 'Failed to open';
  try {
    const handle = await open(path, 'r');
    step = 'Error reading';
    try {
      const parts: Buffer[] = [];
      let length = 0;
      for await (const part of handle.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
        length += part.length;
        if (length > MAX_FILE) throw qomError(`Unable to read ${path}: it is longer than ${MAX_FILE} bytes`);
        parts.push(part);
      }
      return Buffer.concat(parts);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    throw qomError(`Unable to read ${path}: ${step} file “${path}”: ${strerror(-errno)}`, error);
  }
}

function decodePlain(object: QomObject, given: Buffer): Buffer {
  return text(object, 'format') === 'base64' ? decodeBase64(given) : given;
}

function decodeBase64(given: Buffer): Buffer {
  const characters = given.toString('latin1');
  if (!/^[A-Za-z0-9+/=\n]*$/.test(characters)) throw qomError('Base64 data contains invalid characters');
  return Buffer.from(characters, 'base64');
}

function decrypt(object: QomObject, given: Buffer, { find }: CompletionContext): Buffer {
  const keyId = text(object, 'keyid')!;
  const holder = find(keyId);
  if (holder === undefined) throw qomError(`No secret with id '${keyId}'`);
  if (holder.class !== secret) throw qomError(`Object with id '${keyId}' is not a secret`);
  const key = holder.content as Buffer | undefined;
  if (key?.length !== KEY_LENGTH) throw qomError(`Key should be ${KEY_LENGTH} bytes in length`);
  const ivText = text(object, 'iv');
  if (ivText === undefined) throw qomError('IV is required to decrypt secret');
  const iv = decodeBase64(Buffer.from(ivText));
  if (iv.length !== BLOCK_LENGTH) {
    throw qomError(`IV should be ${BLOCK_LENGTH} bytes in length not ${iv.length}`);
  }
  const encrypted = decodePlain(object, given);
  if (encrypted.length === 0 || encrypted.length % BLOCK_LENGTH !== 0) {
    throw qomError(`Length ${encrypted.length} must be a multiple of block size ${BLOCK_LENGTH}`);
  }
  const decipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
  return removePadding(Buffer.concat([decipher.update(encrypted), decipher.final()]));
}

/** The last byte says how many are padding. */
function removePadding(padded: Buffer): Buffer {
  const padding = padded[padded.length - 1]!;
  if (padding > BLOCK_LENGTH) {
    throw qomError(`Incorrect number of padding bytes (${padding}) found on decrypted data`);
  }
  return padded.subarray(0, padded.length - padding);
}
