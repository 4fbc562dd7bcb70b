// Which of the known names was meant by one that is not known?

/** The name that takes the fewest changes, where they are few; what is missing at its end counts as one. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let fewest = (name.length < 4 ? 1 : Math.max(2, Math.floor(name.length / 3))) + 1;
  for (const candidate of known) {
    const begun = 1 + distance(name, candidate.slice(0, name.length), fewest);
    const changes = Math.min(distance(name, candidate, fewest), begun);
    if (changes < fewest) [best, fewest] = [candidate, changes];
  }
  return best;
}

/** How many letters have to be changed, put in or left out; `most` stands for any number from there on. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most) return most;
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(same, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return Math.min(row[b.length]!, most);
}
