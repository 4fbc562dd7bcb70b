// Whatever a client sends as arguments, the check here says what QEMU says.
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { isJsonObject, parseJson, writeJson, type JsonObject, type JsonOutput } from '../../src/json/index.ts';
import * as qapi from '../../src/qapi/index.ts';
import { SchemaValues } from './arbitrary.ts';
import { checkOpenFds } from '../open-fds.ts';
import { qemu10, qemu7, type QemuVersion } from '../qemu-versions.ts';
import { ask } from './qemu.ts';
import { messageOf } from './values.ts';

checkOpenFds();

const commands = [
  qapi.blockdevAdd,
  qapi.blockdevReopen,
  qapi.blockdevDel,
  qapi.blockResize,
  qapi.blockJobSetSpeed,
  qapi.queryNamedBlockNodes,
  qapi.blockExportAdd,
  qapi.blockExportDel,
  qapi.nbdServerAdd,
  qapi.nbdServerRemove,
  qapi.chardevAdd,
  qapi.chardevRemove,
  qapi.transaction,
  qapi.objectAdd,
  qapi.qomGet,
];

/** The object types whose members are here. */
const daemonObjects = Object.keys(qapi.ObjectOptions.variants);

/** No storage daemon has the objects of the emulator. */
const without = new Set(
  qapi.ObjectType.values.filter((name) => !daemonObjects.includes(name)).map((name) => `ObjectType=${name}`),
);

/** A member that no command has makes QEMU refuse everything in the end, so that nothing is ever carried out. */
const never = 'fdset-test';

function isPlainObject(value: JsonOutput): value is Record<string, JsonOutput> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const runs = Number(process.env['FDSET_QAPI_RUNS'] ?? 60);
const values = new SchemaValues(without);

const then = new qapi.RevisedSchema(qapi.REVISION_7_2);
const versions: [QemuVersion, (command: qapi.CommandDefinition) => qapi.CommandDefinition][] = [
  [qemu10, (command) => command],
  // What 10.0 has is sent to 7.2, too, which may refuse it.
  [qemu7, (command) => then.command(command)!],
];

for (const [qemu, asIn] of versions) {
  for (const command of commands) {
    test(`${command.name} refuses what QEMU ${qemu.name} refuses, in its words`, { skip: qemu.missing }, async () => {
      const requests = fc
        .sample(values.of(command.data), runs)
        .filter((value) => isPlainObject(value))
        .map((given) => writeJson({ execute: command.name, arguments: { ...given, [never]: true } }));
      const program = 'qemu-storage-daemon';
      const responses = await ask(program, requests, qemu.command(program));
      assert.equal(responses.length, requests.length);
      const definition = asIn(command);
      requests.forEach((request, index) => {
        const given = (parseJson(request) as JsonObject).get('arguments');
        assert.ok(isJsonObject(given));
        const ours = messageOf(() => qapi.visitArguments(definition, given));
        const theirs = responses[index]!.get('error') as JsonObject;
        assert.equal(ours, theirs.get('desc'), request);
      });
    });
  }
}
