// A command line for QMP: words in, a command with its files out, and the answer shown. Read command-runner.ts first, then
// words.ts, arguments.ts and typed-value.ts for what a line means; terminal.ts is what a person types into.
export { CommandRunner } from './command-runner.ts';
export { asWords } from './words.ts';
export type { FileWord } from './file-word.ts';
export { expandHome } from './complete-file.ts';
export { present } from './present.ts';
export { hintFor, Interpreter } from './interpreter.ts';
export { Terminal } from './terminal.ts';
export { runScript, ScriptError } from './script.ts';
export { historyFile } from './history.ts';
