// JSON texts, good and bad, as QEMU may be sent them. All are bytes in a Latin-1 string.
import * as fc from 'fast-check';
import type { Bytes } from './script.ts';

const utf8 = (text: string): Bytes => Buffer.from(text).toString('latin1');

/** What may stand between the quotes of a string, in either kind of quotes. */
const stringPieces = [
  ['a', 'b', 'z', '0', '9', ' ', '/', '-', '_', '.', '\x7f', 'fd', '{', ']', ',', ':'],
  ['\\n', '\\t', '\\r', '\\b', '\\f', '\\/', '\\\\', '\\"', "\\'", '\\u0041', '\\u00e9', '\\u20AC', '\\u0000'],
  ['\\ud83d\\ude00', '\\u007f', '\\u001f', 'é', '€', '😀', '\u0080', '\ufffd', '\u07ff', '\u0800'].map(utf8),
  ['\xc0\x80'],
].flat();
/** What spoils a string. */
const badPieces = [
  ['\\x', '\\v', '\\0', '\\u12', '\\u', '\\ud800', '\\udc00\\ud800', '\\uffff', '\\ufdd0', '\\udbff\\udfff', '\\ud83d'],
  ['\x01', '\t', '\n', '\0', '\xff', '\xfe', '\xfd', '\x80', '\xc3', '\xed\xa0\x80', '\xef\xbf\xbf', '\xc0\x81'],
  ['\xf4\x90\x80\x80', '\xf8\x88\x80\x80\x80', '\xf0\x9f\x98', '\xef\xb7\x90', '\\\xc3\xa9', '\\\x01'],
].flat();

const quoted =
  (quote: string) =>
  (pieces: readonly string[]): Bytes =>
    `${quote}${pieces.join('')}${quote}`;
const inside = fc.array(fc.constantFrom(...stringPieces), { maxLength: 8 });

/** A string. */
export const aString: fc.Arbitrary<Bytes> = fc.oneof(
  { weight: 5, arbitrary: inside.map(quoted('"')) },
  { weight: 1, arbitrary: inside.map(quoted("'")) },
  { weight: 1, arbitrary: fc.integer({ min: 20, max: 300 }).map((length) => `"${'x'.repeat(length)}"`) },
);

const digits = fc.stringMatching(/^[0-9]{1,20}$/);
const integers = [
  ['0', '1', '-1', '-0', '7', '2147483647', '2147483648', '-2147483649', '4294967296', '9007199254740993'],
  ['9223372036854775807', '-9223372036854775808', '9223372036854775808', '18446744073709551615'],
  ['18446744073709551616', '-9223372036854775809', '123456789012345678901234567890'],
].flat();
const doubles = [
  ['1.0', '1e0', '0.1', '-0.0', '1e22', '1e16', '1E+5', '1e-7', '0.5e1', '10e1', '1e400', '-1e400', '1e-400', '5e-324'],
  ['1.7976931348623157e308', '123456789.123456789', '0.30000000000000004', '1e17', '123456789012345678', '1.5e300'],
].flat();

/** A number. */
export const aNumber: fc.Arbitrary<Bytes> = fc.oneof(
  fc.constantFrom(...integers),
  fc.constantFrom(...doubles),
  fc
    .tuple(fc.constantFrom('', '-'), digits, digits, fc.constantFrom('', 'e', 'E', 'e+', 'e-'), fc.nat(340))
    .map(
      ([sign, whole, part, e, power]) => `${sign}${whole.replace(/^0+(?=.)/, '')}.${part}${e === '' ? '' : e + power}`,
    ),
  fc.bigInt(-(2n ** 65n), 2n ** 65n).map(String),
);

const separators = [',', ', ', ' ,', ',\n', ',\r\n\t'];
const colons = [':', ': ', ' :', ':\n'];

const unique = <T>(members: readonly (readonly [string, T])[]): (readonly [string, T])[] => {
  const seen = new Map(members.map((member) => [member[0], member]));
  return [...seen.values()];
};

/** Keys that differ whichever way they are written. */
const aKey = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'fd',
    'id',
    'fdset-id',
    'return',
    'error',
    'class',
    'desc',
    'execute',
    '',
    'a b',
    utf8('é'),
  ),
  fc.stringMatching(/^[a-z-]{1,12}$/),
);

/** Any value. */
export const aValue: fc.Arbitrary<Bytes> = fc.letrec<{ value: Bytes; list: Bytes; dict: Bytes }>((tie) => ({
  list: fc
    .tuple(fc.array(tie('value'), { maxLength: 4 }), fc.constantFrom(...separators))
    .map(([values, separator]) => `[${values.join(separator)}]`),
  dict: fc
    .tuple(
      fc.array(fc.tuple(aKey, tie('value')), { maxLength: 5 }),
      fc.constantFrom(...separators),
      fc.constantFrom(...colons),
      fc.constantFrom('"', "'"),
    )
    .map(([members, separator, colon, quote]) => {
      const texts = unique(members).map(([key, value]) => `${quote}${key}${quote}${colon}${value}`);
      return `{${texts.join(separator)}}`;
    }),
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 3, arbitrary: fc.constantFrom('null', 'true', 'false', '[]', '{}', '""', '0', '-1', '1', '"a"') },
    { weight: 3, arbitrary: aNumber },
    { weight: 3, arbitrary: aString },
    { weight: 1, arbitrary: tie('list') },
    { weight: 2, arbitrary: tie('dict') },
  ),
})).value;

/** Tokens and parts of tokens that make up most kinds of nonsense. */
const junkPieces = [
  Array.from('{}[],:"\'\\ \n\t\r-+.eE0123456789atrue@#/*\0'),
  ['{"execute":', '"execute"', '"id":1', '"arguments":{', '{}', '[]', '{"a":1}', '[1,2', '}}', ']]', '[[', '},{'],
  ['true', 'false', 'null', 'nul', 'nullx', 'True', 'NaN', 'undefined', 'inf', '01', '0x10', '+1', '.5', '1.', '1.e5'],
  ['0e1', '1e', '1e+', '-', '--1', '-a', '\xef\xbb\xbf', '"a"', "'b'", '"a":', '\v', '\f', '\x7f'],
].flat();

const junkSoup = fc
  .array(fc.constantFrom(...junkPieces, ...badPieces), { minLength: 1, maxLength: 10 })
  .map((p) => p.join(''));
const badString = fc
  .tuple(inside, fc.constantFrom(...badPieces), inside, fc.constantFrom('"', "'"))
  .map(([before, bad, after, quote]) => `{"execute":${quote}${before.join('')}${bad}${after.join('')}${quote}}`);
const anyBytes = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const deep = fc
  .tuple(fc.constantFrom('[', '{"a":', '[{"b":'), fc.constantFrom(3, 40, 511, 512, 513, 1023, 1024, 1025, 1030))
  .map(([opening, depth]) => opening.repeat(depth));
const notAnObject = aValue.filter((value) => !value.startsWith('{')).map((value) => `${value}\n`);

/** A text with something deleted, doubled, changed or cut off. */
export function damaged(text: fc.Arbitrary<Bytes>): fc.Arbitrary<Bytes> {
  const change = fc.tuple(
    fc.constantFrom('delete', 'insert', 'replace', 'truncate', 'double'),
    fc.nat(999),
    fc.constantFrom(...junkPieces, ...badPieces),
  );
  return fc.tuple(text, fc.array(change, { minLength: 1, maxLength: 2 })).map(([whole, changes]) => {
    let result = whole;
    for (const [how, place, piece] of changes) {
      const at = Math.floor((place * result.length) / 1000);
      const [before, after] = [result.slice(0, at), result.slice(at)];
      if (how === 'delete') result = before + after.slice(1);
      else if (how === 'insert') result = before + piece + after;
      else if (how === 'replace') result = before + piece + after.slice(1);
      else if (how === 'truncate') result = before;
      else result = before + after.slice(0, 1) + after;
    }
    return result === '' ? ' ' : result;
  });
}

/** Bytes that are no request, or only by accident. */
export function junk(request: fc.Arbitrary<Bytes>): fc.Arbitrary<Bytes> {
  return fc.oneof(
    { weight: 4, arbitrary: junkSoup },
    { weight: 6, arbitrary: damaged(request) },
    { weight: 3, arbitrary: badString },
    { weight: 1, arbitrary: anyBytes },
    { weight: 2, arbitrary: notAnObject },
    { weight: 2, arbitrary: fc.constantFrom(' ', '\n', '\r\n', '\t\n ') },
    { weight: 1, arbitrary: fc.constantFrom(...junkPieces) },
    { weight: 1, arbitrary: deep },
  );
}
