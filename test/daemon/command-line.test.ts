// The same command line to qemu-storage-daemon 10.0 and to ours: the same exit status, the same words on stderr but for
// the program's name, the same help on stdout. All of these end by themselves.
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { checkOpenFds } from '../open-fds.ts';
import { run } from '../programs.ts';
import { qemu10 } from '../qemu-versions.ts';
import { temporaryFolder } from '../temporary-folder.ts';

checkOpenFds();
const folder = temporaryFolder();
const ours = [process.execPath, fileURLToPath(new URL('../../src/cli/storage-daemon-main.js', import.meta.url))];

const node = '--blockdev null-co,node-name=n';
const server = '--nbd-server addr.type=unix,addr.path=nbd.sock';
const chardev = '--chardev socket,id=c,path=qmp.sock,server=on,wait=off';
/** Makes a command line end that would otherwise run. */
const end = '--monitor nobody';

/** Words are separated by spaces; `""` is an empty one. */
const cases = `
--bogus
-x
--blockdev
-T
--trace
--help=x
--ve=1
--p
--daemonize=1
x
x --bogus
--blockdev x y
--blockdev x --bogus
y --blockdev x
-xV
--blockdev x -T events=nowhere
-T events=nowhere
-T events=events ${end}
-T foo,events=events ${end}
-T bogus=1
-T foo,help
-T file=nowhere/x
-T file=trace,foo ${end}
-T -foo ${end}
-T foo* ${end}
-T a,,b ${end}
-T foo,nofile ${end}
--pidfile nowhere/x
--pidfile ""
--pidfile .
--pidfile pid ${end}
--daemonize ${end}
--daemonize --pidfile nowhere/x
--monitor c
--monitor c,mode=readline
--monitor ""
--monitor help
--monitor {"chardev":"c"
--monitor {"chardev":5}
--monitor {"chardev":"c"}
${chardev} --monitor c,mode=readline
${chardev} --monitor c,pretty=maybe
${chardev} --monitor c,pretty
${chardev} --monitor c,nopretty
${chardev} --monitor c,bogus=1
${chardev} --monitor c,id=m --monitor x
${chardev} --monitor c --monitor c
${chardev} --monitor {"chardev":"c","pretty":true} --monitor x
--chardev ""
--chardev socket
--chardev id=c
--chardev socket,id=5
--chardev socket,id=c,bogus=1
--chardev socket,id=c,path=nowhere/x,server=on,wait=off
--chardev socket,id=c,path=nowhere/x,server,nowait
--blockdev ""
--blockdev nope
--blockdev driver=nope
--blockdev help
--blockdev raw,help
--blockdev null-co
--blockdev null-co,node-name=5
--blockdev null-co,node-name=a --blockdev null-co,node-name=a
--blockdev null-co,node-name=a,size=1k
--blockdev null-co,node-name=a,bogus=1
--blockdev {
--blockdev {}
--blockdev {"driver":"null-co","node-name":"a","size":"1"}
--blockdev ["a"]
--blockdev driver=raw,node-name=a,file.driver=file,file.filename=nowhere
--blockdev driver=raw,node-name=a,file=nope
--blockdev driver=file,node-name=a,filename=nowhere
--blockdev driver=file,node-name=a,filename=
--nbd-server ""
--nbd-server help
--nbd-server path=x
--nbd-server addr.type=unix
--nbd-server addr.type=bogus
--nbd-server addr.type=unix,help
--nbd-server addr.type=unix,addr.path=nowhere/x
--nbd-server addr.type=inet,addr.host=localhost
--nbd-server addr.type=inet,addr.host=127.0.0.1,addr.port=x
--nbd-server addr.type=fd,addr.str=x
--nbd-server addr.type=fd,addr.str=77
--nbd-server addr.type=vsock,addr.cid=1
--nbd-server addr.type=unix,addr.path=nbd.sock,tls-creds=x
--nbd-server addr.type=unix,addr.path=nbd.sock,tls-authz=x ${end}
--nbd-server addr.type=unix,addr.path=nbd.sock,max-connections=x
--nbd-server addr.type=unix,addr.path=nbd.sock,max-connections=-1
--nbd-server addr.type=unix,addr.path=nbd.sock,max-connections=2,handshake-max-seconds=4 ${end}
--nbd-server addr.type=unix,addr.path=nbd.sock,handshake-max-seconds=x
--nbd-server addr.type=unix,addr.path=nbd.sock,bogus=x
--nbd-server {"addr":{"type":"unix","path":"nbd.sock"}} ${end}
--nbd-server {"addr":{"type":"unix","data":{"path":"nbd.sock"}}}
${server} --nbd-server addr.type=unix,addr.path=nbd2.sock
--export ""
--export x
--export help
--export nbd,help
--export type=nbd,help
--export type=help
--export nbd
--export nbd,id=e
--export nbd,id=e,node-name=n
--export nbd,id=e,node-name=n,bitmap=b
${node} --export nbd,id=e,node-name=n
${node} ${server} --export nbd,id=e,node-name=n,bitmaps.0=b
${node} ${server} --export nbd,id=e,node-name=n,iothread=t
${node} ${server} --object iothread,id=t --export nbd,id=e,node-name=n,iothread=t,fixed-iothread=on ${end}
${node} ${server} --object secret,id=t,data=x --export nbd,id=e,node-name=n,iothread=t
${node} ${server} --export nbd,id=5,node-name=n
${node} ${server} --export nbd,id=e,node-name=n --export nbd,id=e,node-name=n
${node} ${server} --export nbd,id=e,node-name=n --export nbd,id=f,node-name=n
${node} ${server} --export nbd,id=e,node-name=n,writable=maybe
${node} --export vhost-user-blk,id=e,node-name=n
${node} --export fuse,id=e,node-name=n
${node} --export vduse-blk,id=e,node-name=n
--object ""
--object id=b
--object nope,id=a
--object help,secret
--object help --version --bogus
--object secret,help
--object secret,id=a,help
--object qom-type=secret,help
--object iothread,help
--object main-loop,help
--object throttle-group,help
--object authz-simple,help
--object authz-list,help
--object secret
--object secret,id
--object secret,data=b
--object secret,id=a
--object secret,id=5,data=b
--object secret,id=a,data=b --object secret,id=a,data=c
--object secret,id=a,file=nowhere
--object secret,id=a,data=%%,format=base64
--object {"qom-type":"secret","id":"a"}
--object {"qom-type":"secret","id":"a","data":5}
--object {}
--object rng-builtin,id=a
--object iothread,id=t,poll-max-ns=-1
--object iothread,id=t,poll-max-ns=x
--object iothread,id=t,bogus=x
--object throttle-group,id=g,limits.bps-total=-1
--object throttle-group,id=g,limits.bps-total=10,limits.bps-read=5
--object throttle-group,id=g,x-bps-total=10,x-bps-read=5
--object throttle-group,id=g,limits.bps-total=1k
--object authz-list,id=a,rules.0.match=x
--object authz-list,id=a,rules.1.match=x
--object authz-list,id=a,rules=x
--object authz-simple,id=a,identity=x,y
--object main-loop,id=a --object main-loop,id=b
`;

suite('a command line that ends by itself', { concurrency: 3, skip: qemu10.missing }, () => {
  for (const line of cases.trim().split('\n')) {
    test(line, async () => {
      const args = line.split(' ').map((word) => (word === '""' ? '' : word));
      // Of a question only the exit status is compared: the answer is the program's own.
      const asked = args.includes('--version');
      const [theirs, mine] = await Promise.all(
        [qemu10.command('qemu-storage-daemon'), ours].map((command) => outcome(command, args)),
      );
      if (asked) assert.equal(mine!.status, theirs!.status);
      else assert.deepEqual(mine, theirs);
    });
  }
});

async function outcome(command: readonly string[], args: readonly string[]) {
  const cwd = mkdtempSync(join(folder, 'run-'));
  writeFileSync(join(cwd, 'events'), 'foo\n# bar\n\nqmp_*\n-baz\n');
  const { status, stdout, stderr } = await run('env', ['-C', cwd, ...command, ...args]);
  return { status, stdout, stderr: stderr.replaceAll(/^(\S*\/)?(qemu|fdset)-storage-daemon(?=:)/gm, 'PROGRAM') };
}
