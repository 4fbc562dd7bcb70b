// How does a verb open the `@FILE:rw` of a command line?
import type { OwnedFd } from '../fds/index.ts';
import { expandHome, type FileWord } from '../shell/index.ts';
import { openFile } from './open-file.ts';

/** Opens it as the user; the caller owns the fd. @throws CliError that names the file and the way out */
export function openFileWord({ path, mode, direct }: FileWord): OwnedFd {
  return openFile(expandHome(path), mode, { direct, name: path });
}
