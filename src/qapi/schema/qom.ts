// User-creatable objects and their properties. From QEMU's qapi/qom.json and, for the properties, authz.json,
// crypto.json and block-core.json.
//
// The enumeration has every type that QEMU's schema names; only the types that exist in the storage daemon have their
// members here. The others QEMU refuses too, though later.
import {
  any,
  array,
  bool,
  command,
  enumeration,
  int,
  int32,
  optional,
  str,
  struct,
  uint16,
  union,
} from '../builders.ts';
import type { Infer, Member } from '../types.ts';
import { ThrottleLimits, throttleLimitNames } from './block-core.ts';

export const QAuthZListPolicy = enumeration('QAuthZListPolicy', ['deny', 'allow']);
export const QAuthZListFormat = enumeration('QAuthZListFormat', ['exact', 'glob']);
export const QAuthZListRule = struct('QAuthZListRule', {
  match: str,
  policy: QAuthZListPolicy,
  format: optional(QAuthZListFormat),
});
export const AuthZListProperties = struct('AuthZListProperties', {
  policy: optional(QAuthZListPolicy),
  rules: optional(array(QAuthZListRule)),
});
export const AuthZListFileProperties = struct('AuthZListFileProperties', { filename: str, refresh: optional(bool) });
export const AuthZSimpleProperties = struct('AuthZSimpleProperties', { identity: str });

export const EventLoopBaseProperties = struct('EventLoopBaseProperties', {
  'aio-max-batch': optional(int),
  'thread-pool-min': optional(int),
  'thread-pool-max': optional(int),
});
export const IothreadProperties = struct(
  'IothreadProperties',
  { 'poll-max-ns': optional(int), 'poll-grow': optional(int), 'poll-shrink': optional(int) },
  { base: EventLoopBaseProperties },
);
export const MainLoopProperties = struct('MainLoopProperties', {}, { base: EventLoopBaseProperties });

export const PrManagerHelperProperties = struct('PrManagerHelperProperties', { path: str });

export const QCryptoSecretFormat = enumeration('QCryptoSecretFormat', ['raw', 'base64']);
export const SecretCommonProperties = struct('SecretCommonProperties', {
  format: optional(QCryptoSecretFormat),
  keyid: optional(str),
  iv: optional(str),
});
export const SecretProperties = struct(
  'SecretProperties',
  { data: optional(str), file: optional(str) },
  { base: SecretCommonProperties },
);
export const SecretKeyringProperties = struct(
  'SecretKeyringProperties',
  { serial: int32 },
  { base: SecretCommonProperties },
);

export const ThreadContextProperties = struct('ThreadContextProperties', {
  'cpu-affinity': optional(array(uint16)),
  'node-affinity': optional(array(uint16)),
});

type UnstableLimits = { readonly [K in (typeof throttleLimitNames)[number] as `x-${K}`]: Member<typeof int, true> };
const unstableLimits = Object.fromEntries(
  throttleLimitNames.map((name) => [`x-${name}`, optional(int, { features: ['unstable'] })]),
) as UnstableLimits;
export const ThrottleGroupProperties = struct('ThrottleGroupProperties', {
  limits: optional(ThrottleLimits),
  ...unstableLimits,
});
export type ThrottleGroupProperties = Infer<typeof ThrottleGroupProperties>;

export const QCryptoTLSCredsEndpoint = enumeration('QCryptoTLSCredsEndpoint', ['client', 'server']);
export const TlsCredsProperties = struct('TlsCredsProperties', {
  'verify-peer': optional(bool),
  dir: optional(str),
  endpoint: optional(QCryptoTLSCredsEndpoint),
  priority: optional(str),
});
const credentials = { base: TlsCredsProperties };
export const TlsCredsAnonProperties = struct('TlsCredsAnonProperties', {}, credentials);
export const TlsCredsPskProperties = struct('TlsCredsPskProperties', { username: optional(str) }, credentials);
export const TlsCredsX509Properties = struct(
  'TlsCredsX509Properties',
  { 'sanity-check': optional(bool), passwordid: optional(str) },
  credentials,
);

export const ObjectType = enumeration(
  'ObjectType',
  [
    'acpi-generic-initiator',
    'acpi-generic-port',
    'authz-list',
    'authz-listfile',
    'authz-pam',
    'authz-simple',
    'can-bus',
    'can-host-socketcan',
    'colo-compare',
    'cryptodev-backend',
    'cryptodev-backend-builtin',
    'cryptodev-backend-lkcf',
    'cryptodev-vhost-user',
    'dbus-vmstate',
    'filter-buffer',
    'filter-dump',
    'filter-mirror',
    'filter-redirector',
    'filter-replay',
    'filter-rewriter',
    'input-barrier',
    'input-linux',
    'iommufd',
    'iothread',
    'main-loop',
    'memory-backend-epc',
    'memory-backend-file',
    'memory-backend-memfd',
    'memory-backend-ram',
    'memory-backend-shm',
    'pef-guest',
    'pr-manager-helper',
    'qtest',
    'rng-builtin',
    'rng-egd',
    'rng-random',
    'secret',
    'secret_keyring',
    'sev-guest',
    'sev-snp-guest',
    'thread-context',
    's390-pv-guest',
    'throttle-group',
    'tls-creds-anon',
    'tls-creds-psk',
    'tls-creds-x509',
    'tls-cipher-suites',
    'x-remote-object',
    'x-vfio-user-server',
  ],
  { features: { 'x-remote-object': ['unstable'], 'x-vfio-user-server': ['unstable'] } },
);

export const ObjectOptions = union('ObjectOptions', {
  base: { 'qom-type': ObjectType, id: str },
  discriminator: 'qom-type',
  variants: {
    'authz-list': AuthZListProperties,
    'authz-listfile': AuthZListFileProperties,
    'authz-simple': AuthZSimpleProperties,
    iothread: IothreadProperties,
    'main-loop': MainLoopProperties,
    'pr-manager-helper': PrManagerHelperProperties,
    secret: SecretProperties,
    secret_keyring: SecretKeyringProperties,
    'thread-context': ThreadContextProperties,
    'throttle-group': ThrottleGroupProperties,
    'tls-creds-anon': TlsCredsAnonProperties,
    'tls-creds-psk': TlsCredsPskProperties,
    'tls-creds-x509': TlsCredsX509Properties,
  },
});
export type ObjectOptions = Infer<typeof ObjectOptions>;

export const objectAdd = command('object-add', { data: ObjectOptions });

export const objectDel = command('object-del', { data: { id: str } });

export const ObjectPropertyInfo = struct('ObjectPropertyInfo', {
  name: str,
  type: str,
  description: optional(str),
  'default-value': optional(any),
});

export type ObjectPropertyInfo = Infer<typeof ObjectPropertyInfo>;

export const qomList = command('qom-list', { data: { path: str }, returns: array(ObjectPropertyInfo) });

export const ObjectTypeInfo = struct('ObjectTypeInfo', { name: str, abstract: optional(bool), parent: optional(str) });
export type ObjectTypeInfo = Infer<typeof ObjectTypeInfo>;

export const qomListTypes = command('qom-list-types', {
  data: { implements: optional(str), abstract: optional(bool) },
  returns: array(ObjectTypeInfo),
});

export const qomListProperties = command('qom-list-properties', {
  data: { typename: str },
  returns: array(ObjectPropertyInfo),
});

export const qomGet = command('qom-get', { data: { path: str, property: str }, returns: any });

export const qomSet = command('qom-set', { data: { path: str, property: str, value: any } });
