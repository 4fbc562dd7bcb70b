// x-query-sandbox: which protections hold this process. An extension of ours, as its name says.
import type { CommandRegistry } from '../../monitor/index.ts';
import { xQuerySandbox } from '../../qapi/schema/x-sandbox.ts';
import type { SandboxReport } from '../sandbox-report.ts';

export function registerSandboxCommands(registry: CommandRegistry, report: SandboxReport): void {
  registry.register(xQuerySandbox, () => report);
}
