// What do versions of QEMU do differently with character devices?

export interface ChardevRules {
  /** Of a connection that a device has made on a Unix socket the peer's path is shown, else its own, which is empty. */
  readonly showsPeerPath: boolean;
  /** Keys of `--chardev` that the version does not know. */
  readonly unknownKeys: readonly string[];
}

export const CHARDEV_RULES_10_0: ChardevRules = { showsPeerPath: true, unknownKeys: [] };

export const CHARDEV_RULES_7_2: ChardevRules = {
  showsPeerPath: false,
  unknownKeys: ['reconnect-ms', 'chardevs.0', 'chardevs.1', 'chardevs.2', 'chardevs.3', 'input-path'],
};
