// What does TARGET on the command line mean? A QMP server: the path of a Unix socket, or host:port.
import { CliError } from './cli-error.ts';

export type Target =
  | { readonly type: 'unix'; readonly path: string }
  | { readonly type: 'inet'; readonly host: string; readonly port: number };

/**
 * Reads a TARGET: `./qmp.sock`, `/run/vm/qmp.sock`, `unix:PATH`, `@abstract`, `localhost:4444`, `[::1]:4444`,
 * `tcp:HOST:PORT`. What has a slash is a path.
 *
 * @throws CliError (usage) where it is none of these
 */
export function parseTarget(text: string): Target {
  if (text.startsWith('unix:')) return { type: 'unix', path: text.slice('unix:'.length) };
  const inet = /^(?:tcp:)?(?:\[([^\]]+)\]|([^:/@][^:/]*)):(\d{1,5})$/.exec(text);
  if (inet) {
    const port = Number(inet[3]);
    if (port === 0 || port > 65_535) throw new CliError(`${text}: no such port: ${port}`, { exitCode: 2 });
    return { type: 'inet', host: inet[1] ?? inet[2]!, port };
  }
  if (text === '') throw new CliError('the target is empty: give a socket path or host:port', { exitCode: 2 });
  return { type: 'unix', path: text };
}
