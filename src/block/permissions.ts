// Who may do what to a node at the same time? Permissions of users, and the conflicts between them; pure.
//
// Every user of a node (an export, a parent node) holds an edge to it: the permissions it needs and those that it lets
// others have. QEMU's rules, observed with x-debug-query-block-graph; texts as QEMU writes them.
import { FdsetError } from '../errors.ts';

/** Permissions are bits; bit i is also byte 100+i and 200+i of the image locks. */
export const Permission = { consistentRead: 1, write: 2, writeUnchanged: 4, resize: 8 } as const;

/** Every permission. */
export const allPermissions = 15;

const names: readonly (readonly [number, string])[] = [
  [Permission.consistentRead, 'consistent read'],
  [Permission.write, 'write'],
  [Permission.writeUnchanged, 'write unchanged'],
  [Permission.resize, 'resize'],
];

/** What a user needs of a node, and what it lets the node's other users have. */
export interface PermissionClaim {
  /** Bits of {@link Permission}. */
  readonly permissions: number;
  /** Bits of {@link Permission}. */
  readonly shared: number;
}

/** A claim with the words that error texts describe the user by. */
export interface NamedClaim extends PermissionClaim {
  /** Such as `node 'r'` or `an unnamed block device`. */
  readonly user: string;
  /** The name of the edge: `root` for users outside the graph, `file` for format nodes. */
  readonly edge: string;
}

/** The permissions in `bits`, one by one, lowest first, with their names. */
export function listPermissions(bits: number): readonly (readonly [number, string])[] {
  return names.filter(([bit]) => (bits & bit) !== 0);
}

/** Does a user with these permissions change the image? */
export function isWriter(permissions: number): boolean {
  return (permissions & (Permission.write | Permission.writeUnchanged | Permission.resize)) !== 0;
}

/** What all users together need, and what all of them share. Without users: nothing, everything. */
export function combineClaims(claims: Iterable<PermissionClaim>): PermissionClaim {
  let permissions = 0;
  let shared = allPermissions;
  for (const claim of claims) {
    permissions |= claim.permissions;
    shared &= claim.shared;
  }
  return { permissions, shared };
}

/**
 * Checks the claims of all users of one node against each other.
 * @throws FdsetError with QEMU's text about the first two users that exclude each other.
 */
export function checkConflicts(nodeName: string, claims: readonly NamedClaim[]): void {
  for (const owner of claims) {
    for (const other of claims) {
      const refused = other.permissions & ~owner.shared;
      if (owner !== other && refused !== 0) throw conflict(nodeName, refused, other, owner);
    }
  }
}

function conflict(nodeName: string, refused: number, needing: NamedClaim, refusing: NamedClaim): FdsetError {
  const permissions = listPermissions(refused)
    .map(([, name]) => name)
    .join(', ');
  return new FdsetError(
    'ERR_FDSET_PERMISSION_CONFLICT',
    `Permission conflict on node '${nodeName}': permissions '${permissions}' are both required by ` +
      `${needing.user} (uses node '${nodeName}' as '${needing.edge}' child) and unshared by ` +
      `${refusing.user} (uses node '${nodeName}' as '${refusing.edge}' child).`,
  );
}
