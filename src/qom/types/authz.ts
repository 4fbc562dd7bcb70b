// The objects authz-simple and authz-list: who may connect, by the name in a TLS certificate. They can be made, changed
// and read back; what asks them, TLS, is not there yet.
import { AuthZListProperties, AuthZSimpleProperties } from '../../qapi/index.ts';
import type { QomClass } from '../qom-class.ts';

const authz: QomClass = { name: 'authz', abstract: true };

export const authzSimple: QomClass = {
  name: 'authz-simple',
  parent: authz,
  creatable: true,
  struct: AuthZSimpleProperties,
};

export const authzList: QomClass = {
  name: 'authz-list',
  parent: authz,
  creatable: true,
  struct: AuthZListProperties,
  defaults: { policy: 'deny', rules: [] },
};
