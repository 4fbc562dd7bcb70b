import { test } from 'node:test';

import { checkOpenFds } from '../open-fds.ts';
import { missing, succeed } from '../programs.ts';
import { ServedImage } from './served-image.ts';

checkOpenFds();
const skip = missing('fio', '--enghelp=nbd');

for (const [what, job] of [
  ['small blocks, deep queue', ['--bs=4k', '--iodepth=64', '--size=16M', '--rw=randwrite']],
  [
    'mixed blocks, reads and writes',
    ['--bsrange=512-256k', '--blockalign=512', '--iodepth=16', '--size=64M', '--rw=randrw'],
  ],
  ['large blocks', ['--bs=4M', '--iodepth=4', '--size=64M', '--rw=write']],
  ['trims between writes', ['--bs=64k', '--iodepth=8', '--size=32M', '--rw=randtrimwrite']],
] as const) {
  test(`fio finds what it wrote: ${what}`, { skip }, async () => {
    const served = await ServedImage.start({ size: 64 << 20 });
    try {
      const verify = job.includes('--rw=randtrimwrite' as never) ? [] : ['--verify=crc32c', '--verify_fatal=1'];
      const common = ['--name=job', '--ioengine=nbd', `--uri=${served.uri}`, '--fsync=128', '--randseed=1'];
      await succeed('fio', [...common, ...job, ...verify, `--aux-path=${served.folder}`]);
    } finally {
      await served.close();
    }
  });
}
