// What can a server do at best on Node with src/socket/? bench/native/echo-server.c over a channel: each line that comes
// is answered, the fd that came with it closed. No JSON, no commands.
//
//   node dist/bench/echo-server.js SOCKET
import { listenUnix, openChannel } from '../src/socket/index.ts';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: node dist/bench/echo-server.js SOCKET');

const REPLY = '{"return": {"fdset-id": 0, "fd": 9}}';
const LINE_FEED = 0x0a;

const listener = listenUnix(path);
listener.onConnection = (fd) => {
  openChannel(fd, {
    data: (channel, bytes) => {
      const start = channel.bytesReceived - bytes.length;
      let replies = '';
      for (let end = bytes.indexOf(LINE_FEED) + 1; end > 0; end = bytes.indexOf(LINE_FEED, end) + 1) {
        channel.takeFd(start + end)?.close();
        replies += REPLY;
      }
      channel.write(replies);
    },
    end: (channel) => channel.destroy(),
  });
};
process.once('SIGTERM', () => listener.close());
