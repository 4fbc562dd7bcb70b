// Whatever a client sends as arguments, the check here says what QEMU says.
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { isJsonObject, parseJson, writeJson, type JsonObject, type JsonOutput } from '../../src/json/index.ts';
import * as qapi from '../../src/qapi/index.ts';
import { SchemaValues } from './arbitrary.ts';
import { checkOpenFds } from '../open-fds.ts';
import { ask, isMissing } from './qemu.ts';
import { messageOf } from './values.ts';

checkOpenFds();

/** Commands whose arguments are the same in 7.2, but for the members below. */
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

/** Members and values that came after 7.2. */
const without = new Set([
  'q_obj_BlockdevOptions-base.active',
  'BlockdevOptionsQcow2.discard-no-unref',
  'BlockdevOptionsCbw.min-cluster-size',
  'BlockdevOptionsLUKS.header',
  'RbdImageEncryptionFormat=luks-any',
  'BackupCommon.discard-source',
  'BackupPerf.min-cluster-size',
  'q_obj_BlockExportOptions-base.allow-inactive',
  'ChardevSocket.reconnect-ms',
  'ChardevPty.path',
  'ChardevBackendKind=hub',
  ...qapi.ObjectType.values.filter((name) => !daemonObjects.includes(name)).map((name) => `ObjectType=${name}`),
]);

/** A member that no command has makes QEMU refuse everything in the end, so that nothing is ever carried out. */
const never = 'fdset-test';

function isPlainObject(value: JsonOutput): value is Record<string, JsonOutput> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const runs = Number(process.env['FDSET_QAPI_RUNS'] ?? 60);
const values = new SchemaValues(without);

for (const command of commands) {
  test(
    `${command.name} refuses what QEMU refuses, in its words`,
    { skip: isMissing('qemu-storage-daemon') },
    async () => {
      const requests = fc
        .sample(values.of(command.data), runs)
        .filter((value) => isPlainObject(value))
        .map((given) => writeJson({ execute: command.name, arguments: { ...given, [never]: true } }));
      const responses = await ask('qemu-storage-daemon', requests);
      assert.equal(responses.length, requests.length);
      requests.forEach((request, index) => {
        const given = (parseJson(request) as JsonObject).get('arguments');
        assert.ok(isJsonObject(given));
        const ours = messageOf(() => qapi.visitArguments(command, given));
        const theirs = responses[index]!.get('error') as JsonObject;
        assert.equal(ours, theirs.get('desc'), request);
      });
    },
  );
}
