// A reporter of node:test that lists what was skipped and why, at the end where it is seen. With FDSET_NO_SKIP set, as
// on the continuous integration, a skipped test fails the run.
export default async function* skipReporter(events) {
  const skipped = [];
  for await (const { type, data } of events) {
    if ((type === 'test:pass' || type === 'test:fail') && data.skip !== undefined) skipped.push(data);
  }
  if (skipped.length === 0) return;
  yield `\n${skipped.length} skipped:\n`;
  for (const { name, skip } of skipped) yield `  ${name}: ${typeof skip === 'string' ? skip : 'no reason given'}\n`;
  if (!process.env.FDSET_NO_SKIP) return;
  yield 'FDSET_NO_SKIP is set, so a skipped test is a failure\n';
  process.exitCode = 1;
}
