// What does `--object help` say, and `--object TYPE,help`? From the classes, in QEMU's form.
import { creatableClasses } from './classes.ts';
import { propertiesOf } from './qom-class.ts';

/** The properties of a type, or all types where it is not named or not known. */
export function objectHelp(typeName: string | undefined): string {
  const named = creatableClasses.find(({ name }) => name === typeName);
  if (named === undefined) {
    const names = creatableClasses.map(({ name }) => `  ${name}\n`).sort();
    return `List of user creatable objects:\n${names.join('')}`;
  }
  const properties = propertiesOf(named).map(({ name, type }) => `  ${name}=<${type}>\n`);
  return `${named.name} options:\n${properties.sort().join('')}`;
}
