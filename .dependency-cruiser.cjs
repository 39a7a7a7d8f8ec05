/** Import direction: design and style are in ARCHITECTURE.md, "Who may import whom". */

const planes = ['controller', 'metadata', 'storage-node', 'gateway']

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'the-wire-is-at-the-bottom',
      severity: 'error',
      from: { path: '^protocol/' },
      to: { pathNot: ['^protocol/'], dependencyTypesNot: ['core'] },
    },
    {
      name: 'the-sdk-needs-nothing-but-the-wire',
      severity: 'error',
      from: { path: '^client/', pathNot: '^client/(build\\.js|dist/)' },
      to: { pathNot: ['^protocol/', '^client/'], dependencyTypesNot: ['core'] },
    },
    {
      name: 'service-knows-no-plane',
      severity: 'error',
      from: { path: '^service/' },
      to: { path: `^(client|cli|examples|${planes.join('|')})/` },
    },
    ...planes.map((plane) => ({
      name: `${plane}-imports-no-other-plane`,
      severity: 'error',
      from: { path: `^${plane}/` },
      to: {
        path: `^(cli|examples|${plane === 'gateway' ? '' : 'client|'}${planes.filter((other) => other !== plane).join('|')})/`,
      },
    })),
    {
      name: 'domain-knows-no-server',
      comment: 'Inside a plane: main -> server -> domain -> store.',
      severity: 'error',
      from: { path: `^(${planes.join('|')})/`, pathNot: '/(main|server)[.]ts$' },
      to: { path: `^(${planes.join('|')})/(main|server)[.]ts$` },
    },
    {
      name: 'examples-use-the-public-sdk',
      severity: 'error',
      from: { path: '^examples/' },
      to: { pathNot: ['^examples/', '^client/index\\.ts$'], dependencyTypesNot: ['core'] },
    },
    {
      name: 'nobody-imports-the-cli',
      severity: 'error',
      from: { pathNot: '^(cli|test)/' },
      to: { path: '^cli/' },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    includeOnly: { path: `^(protocol|client|service|cli|examples|${planes.join('|')})/|^node:|^[a-z@]` },
    exclude: { path: '(^|/)dist/' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'], conditionNames: ['import', 'types', 'node'] },
  },
}
