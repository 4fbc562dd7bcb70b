// Who is the server? The version triple and package of the greeting and of query-version.

/** The version of a QMP server. Source: QEMU's qapi/control.json, `VersionInfo`. */
export interface QmpVersion {
  readonly qemu: { readonly major: number; readonly minor: number; readonly micro: number };
  /** Free text, possibly empty. */
  readonly package: string;
}
