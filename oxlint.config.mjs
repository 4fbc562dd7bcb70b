// The lint rules. The layer table is scripts/layers.mjs; oxlint reads this file only when given -c.
import { levelOf } from './scripts/layers.mjs';

const folders = [...levelOf.keys()];
/** Any path but `index.ts`, spelt without look-ahead, which the linter's regular expressions lack. */
const notIndex = '([^/]*/.*|[^i/][^/]*|i[^n].*|in[^d].*|ind[^e].*|inde[^x].*|index[^.].*)$';
/** The same for src/qapi/, whose schema modules are entered one by one, as QEMU's are. */
const notIndexNorSchema = '([^s/][^/]*/.*|[^i/][^/]*|i[^n].*|in[^d].*|ind[^e].*|inde[^x].*|index[^.].*)$';
const lazyLoading = {
  name: 'node:module',
  message: 'only src/addon/ loads native code, and nothing is loaded once the sandbox is closed',
};

/** What files of one folder of src/ must not import. */
function layerRule(folder) {
  const forbidden = folders.filter((other) => other !== folder && levelOf.get(other) >= levelOf.get(folder));
  const lower = folders.filter((other) => levelOf.get(other) < levelOf.get(folder));
  const patterns = [{ regex: '^(\\.\\./)+(test|bench|scripts|examples|dist)/', message: 'src/ stands alone' }];
  if (forbidden.length > 0) {
    patterns.push({
      regex: `^(\\.\\./)+(${forbidden.join('|')})/`,
      message: `src/${folder}/ imports from lower layers only (scripts/layers.mjs)`,
    });
  }
  const message = 'enter another folder through its index.ts';
  const plain = lower.filter((other) => other !== 'qapi');
  if (plain.length > 0) patterns.push({ regex: `^(\\.\\./)+(${plain.join('|')})/${notIndex}`, message });
  if (lower.includes('qapi')) patterns.push({ regex: `^(\\.\\./)+qapi/${notIndexNorSchema}`, message });
  return {
    files: [`src/${folder}/**/*.ts`],
    rules: { 'no-restricted-imports': ['error', { paths: folder === 'addon' ? [] : [lazyLoading], patterns }] },
  };
}

export default {
  plugins: ['typescript', 'import', 'unicorn', 'oxc', 'promise', 'node'],
  categories: { correctness: 'error', suspicious: 'error' },
  options: { typeAware: true },
  ignorePatterns: ['dist', 'build', 'coverage', 'node_modules', 'test/fixtures', 'src/qemu-types/qemu-*.ts'],
  rules: {
    'import/no-cycle': 'error',
    'eslint/complexity': ['error', { max: 20 }],
    'eslint/max-depth': ['error', { max: 4 }],
    'eslint/eqeqeq': 'error',
    'eslint/no-var': 'error',
    'eslint/prefer-const': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': ['error', { allowForKnownSafeCalls: ['test', 'describe', 'it', 'suite'] }],
    'typescript/no-misused-promises': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'typescript/no-non-null-assertion': 'off',
    // Order is the author's: a bit field reads from the left, a loop may await on purpose.
    'eslint/no-await-in-loop': 'off',
    'eslint/no-shadow': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'promise/always-return': 'off',
    'import/no-unassigned-import': 'off',
    'typescript/no-unsafe-type-assertion': 'off',
    'typescript/consistent-return': 'off',
    'eslint/no-underscore-dangle': 'off',
  },
  overrides: [
    ...folders.map(layerRule),
    { files: ['test/**/*.ts', 'bench/**/*.ts'], rules: { 'eslint/complexity': 'off', 'eslint/max-depth': 'off' } },
  ],
};
