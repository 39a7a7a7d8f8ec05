/** Import direction: design and style are in ARCHITECTURE.md, "Who may import whom". */

const planes = ['controller', 'metadata', 'storage-node', 'gateway']

/** The rooms of each folder from the bottom to the top. A room imports none above it. */
const rooms = {
  protocol: ['wire', 'model', 'operations', 'transport'],
  client: ['routing', 'objects'],
  service: [
    'tracing',
    'process',
    'reporting',
    'sqlite',
    'postgres',
    'network',
    'metrics',
    'server',
    's3',
    'persisted',
  ],
  controller: [
    ...[
      'events',
      'sizing',
      'packing',
      'records',
      'store',
      'access',
      'nodes',
      'ledger',
      'placement',
      'metadata',
      'jobs',
    ],
    ...['scaling', 'api'],
  ],
  metadata: ['decide', 'store', 'drive', 'serve'],
  'storage-node': [
    ...[
      'memory',
      'budget',
      'tiers',
      'slot',
      'job',
      'membership',
      'tiering',
      'sessions',
      'operations',
      'persist',
    ],
    ...['admission', 'handoff', 'gc'],
  ],
  gateway: ['http', 'access', 'jobs', 'objects', 'listing', 'uploads', 'buckets'],
  bench: ['probes', 'servers', 'clients', 'tasks', 'load', 'report'],
}
/** Files beside the rooms of a folder that its rooms may import. What else lies there only wires them. */
const shared = {
  protocol: ['assert', 'errors', 'limits', 'runtime'],
  client: ['options'],
  controller: ['errors', 'limits'],
  'storage-node': ['limits'],
  gateway: ['limits'],
  bench: ['suite', 'systems'],
}

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
    ...Object.entries(rooms).flatMap(([folder, order]) =>
      order.map((room, index) => ({
        name: `${folder}-${room}-imports-only-rooms-below`,
        severity: 'error',
        from: { path: `^${folder}/${room}/` },
        to: {
          path: [
            ...order.slice(index + 1).map((above) => `^${folder}/${above}/`),
            `^${folder}/(?!(${(shared[folder] ?? []).join('|')})[.]ts)[^/]+[.]ts$`,
          ],
        },
      })),
    ),
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
      name: 'the-page-knows-types-of-its-stream-alone',
      severity: 'error',
      from: { path: '^console/' },
      to: {
        path: `^(protocol|client|service|cli|examples|${planes.join('|')})/`,
        pathNot: '^controller/api/console/snapshot[.]ts$',
      },
    },
    {
      name: 'nobody-imports-the-page',
      severity: 'error',
      from: { pathNot: '^console/' },
      to: { path: '^console/' },
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
    includeOnly: {
      path: `^(protocol|client|service|cli|console|examples|${planes.join('|')})/|^node:|^[a-z@]`,
    },
    exclude: { path: '(^|/)dist/' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'], conditionNames: ['import', 'types', 'node'] },
  },
}
