// How is a wait limited? By a timer, except where the limit is none: setTimeout takes what is too long for it as 1 ms.

/** The longest that a timer can wait: some 24 days. */
const LONGEST_MS = 0x7fff_ffff;

/** Calls `late` after so many milliseconds; never where there is no limit, or one that is too far away, as Infinity is. */
export function startTimer(ms: number | undefined, late: () => void): NodeJS.Timeout | undefined {
  return ms === undefined || ms > LONGEST_MS ? undefined : setTimeout(late, Math.max(0, ms));
}
