// How does C print a double with `%.17g`? That is QEMU's way, and JavaScript has no such format.

const DIGITS = 17;
/** More digits than a double can have that is no tie at the 17th and looks like one. */
const MANY_DIGITS = 99;

/** A double as C's `printf("%.17g")` prints it; also `inf`, `-inf` and `nan`. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const sign = value < 0 ? '-' : '';
  const [digits, exponent] = roundedDigits(Math.abs(value));
  const significant = digits.replace(/0+$/, '');
  if (exponent < -4 || exponent >= DIGITS) return `${sign}${exponential(significant, exponent)}`;
  return `${sign}${fixed(significant, exponent)}`;
}

/** The 17 significant digits of a positive double and its decimal exponent; ties go to the even digit, as in C. */
function roundedDigits(value: number): [digits: string, exponent: number] {
  return tieToEven(value) ?? split(value.toExponential(DIGITS - 1));
}

/** JavaScript rounds a tie up. Where the digit before is even it has to be cut off instead. */
function tieToEven(value: number): [digits: string, exponent: number] | undefined {
  const [oneMore] = split(value.toExponential(DIGITS));
  if (!oneMore.endsWith('5')) return undefined;
  const [exact, exponent] = split(value.toExponential(MANY_DIGITS));
  const isTie = /^50*$/.test(exact.slice(DIGITS));
  return isTie && Number(exact[DIGITS - 1]) % 2 === 0 ? [exact.slice(0, DIGITS), exponent] : undefined;
}

function split(text: string): [digits: string, exponent: number] {
  const [mantissa, exponent] = text.split('e') as [string, string];
  return [mantissa.replace('.', ''), Number(exponent)];
}

function exponential(digits: string, exponent: number): string {
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
  const magnitude = String(Math.abs(exponent)).padStart(2, '0');
  return `${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${magnitude}`;
}

function fixed(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = digits.slice(exponent + 1);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
