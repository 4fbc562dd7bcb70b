// What are the commands and events of a server called, and what may they carry? From the answer to query-qmp-schema:
// names only, without the types.

/**
 * The members of each command's arguments and each event's data, by name; those of a variant as `TAG=VALUE.MEMBER`.
 *
 * @param schema the value of `return`
 */
export function schemaFacts(schema) {
  const types = new Map(schema.map((entry) => [entry.name, entry]));
  const membersOf = (name) => {
    const { members = [], tag, variants = [] } = types.get(name);
    const own = members.map((member) => member.name);
    const ofVariants = variants.flatMap((variant) =>
      (types.get(variant.type).members ?? []).map((member) => `${tag}=${variant.case}.${member.name}`),
    );
    return [...own, ...ofVariants];
  };
  const named = (kind) =>
    Object.fromEntries(
      schema
        .filter((entry) => entry['meta-type'] === kind)
        .map((entry) => [entry.name, membersOf(entry['arg-type'])])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  return { commands: named('command'), events: named('event') };
}

/** The values of the enumeration that chooses the variants of a command's arguments: drivers, types of exports. */
export function tagValues(schema, command) {
  const types = new Map(schema.map((entry) => [entry.name, entry]));
  const { members, tag } = types.get(types.get(command)['arg-type']);
  return types.get(members.find(({ name }) => name === tag).type).members.map(({ name }) => name);
}
