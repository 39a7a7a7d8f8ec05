import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { defaultConfig } from '../../cli/up/config/cluster-config.ts'
import {
  LINK_SECONDS,
  LINKS_OF_KEY_MAX,
  SESSION_SECONDS,
  SESSIONS_OF_KEY_MAX,
} from '../../controller/limits.ts'
import { addMetrics } from '../../gateway/metrics.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { CallCounts } from '../../service/metrics/call-counts.ts'
import { addCallMetrics } from '../../service/metrics/call-metrics.ts'
import { TierBudget } from '../../storage-node/budget/budget.ts'
import { addNodeMetrics } from '../../storage-node/metrics.ts'
import { World } from '../controller/support/world.ts'
import { root } from './blocks.ts'
import { boundRows } from './bounds.ts'
import {
  commandRows,
  errorRows,
  limitRows,
  markdownOf,
  metricRows,
  principalLimitRows,
  type Rows,
  routeRows,
  tableIn,
} from './tables.ts'

/** `UPDATE=true npx vitest run test/docs/tables.test.ts` writes the tables anew. */
function check(page: string, name: string, rows: Rows): void {
  const wanted = markdownOf(rows)
  expect(tableIn(page, name, wanted), 'UPDATE=true npx vitest run test/docs/tables.test.ts').toBe(wanted)
}

test('the tables of errors, limits and commands are those of the code', () => {
  check('docs/reference/errors.md', 'errors', errorRows())
  check('docs/reference/limits.md', 'limits', limitRows())
  check('README.md', 'limits', principalLimitRows())
  check('docs/reference/command.md', 'commands', commandRows())
  check('docs/security.md', 'bounds', boundRows())
})

test('the lives of sessions and links of the page are those of the code', () => {
  const page = readFileSync(join(root, 'docs/security.md'), 'utf8')
  expect(page).toContain(`valid for ${SESSION_SECONDS / 3600} hours`)
  expect(page).toContain(`valid for ${LINK_SECONDS / 60} minutes and once`)
  expect(page).toContain(`up to ${SESSIONS_OF_KEY_MAX} sessions and ${LINKS_OF_KEY_MAX} links`)
})

test('the tables of metrics and routes are what the controller serves', async () => {
  const world = await World.start()
  check('docs/reference/metrics.md', 'metrics', metricRows((await world.ask('/metrics')).text))
  const registry = new Registry()
  addCallMetrics(registry, { calls: new CallCounts(systemRuntime.clock), connections: { count: 0 } })
  addNodeMetrics(registry, { jobs: new Map(), ram: new TierBudget(1), lower: [] })
  check('docs/reference/metrics.md', 'node metrics', metricRows(await registry.metrics()))
  const ofGateway = new Registry()
  addMetrics(ofGateway, { connections: () => 0, openJobs: () => 0, bodyBytes: () => 0 })
  check('docs/reference/metrics.md', 'gateway metrics', metricRows(await ofGateway.metrics()))
  const document = (await world.ask('/openapi.json')).body as Parameters<typeof routeRows>[0]
  check('docs/reference/http.md', 'routes', routeRows(document))
})

const config = readFileSync(join(root, 'docs/reference/config.md'), 'utf8')

test('the page of settings names each field of the config file, and no other', () => {
  const source = ['cluster-config', 'network-settings']
    .map((name) => readFileSync(join(root, `cli/up/config/${name}.ts`), 'utf8'))
    .join()
  const read = [...source.matchAll(/(?:required|optional|text|path)\('(\w+)'/g)].map(
    ([, name]) => name as string,
  )
  const told = [...config.matchAll(/^\| ((?:`[\w.[\]]+`(?:, )?)+) \|/gm)]
    .flatMap(([, names = '']) => names.replaceAll('`', '').split(', '))
    .filter((name) => !/^[A-Z0-9_]+$/.test(name))
  const parts = told.flatMap((name) => name.replaceAll('[]', '').split('.'))
  // These are read by loops over `quotaDimensions` and `defaultTraits`.
  const loops = ['jobs', 'bytes', ...Object.keys(defaultConfig.tiers.s3)]
  expect([...new Set(parts)].sort()).toEqual([...new Set([...read, ...loops])].sort())
})

test('the page of settings has the defaults of the config', () => {
  const [local] = defaultConfig.nodeClasses
  const defaults: [string, number | undefined][] = [
    ['metadataServers', defaultConfig.metadataServers],
    ['warmNodes', defaultConfig.warmNodes],
    ['nodeClasses[].cores', local?.cores],
    ['nodeClasses[].ramBytes', local?.ramBytes],
    ['nodeClasses[].ssdBytes', local?.ssdBytes],
    ['nodeClasses[].bytesPerSecond', local?.bytesPerSecond],
    ['nodeClasses[].pricePerHour', local?.pricePerHour],
    ['nodeClasses[].nodesMax', local?.nodesMax],
    ...(['ram', 'ssd', 's3'] as const).map((tier): [string, number] => [
      `tiers.${tier}.p99Ms`,
      defaultConfig.tiers[tier].p99Ms,
    ]),
  ]
  for (const [name, value] of defaults) {
    const row = config
      .split('\n')
      .find((line) => /^\| `/.test(line) && line.split('|')[1]?.includes(`\`${name}\``))
    expect(row?.split('|')[3], name).toContain(value?.toLocaleString('en-US', { maximumFractionDigits: 9 }))
  }
})

test('the page of settings names each variable that the programs read, and no other', () => {
  const planes = ['cli', 'client', 'controller', 'gateway', 'metadata', 'service', 'storage-node']
  const read = planes.flatMap((plane) =>
    readdirSync(join(root, plane), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.includes('node_modules') && !path.startsWith('dist'))
      .flatMap((path) => [
        ...readFileSync(join(root, plane, path), 'utf8').matchAll(/\bMAYFLY_[A-Z0-9_]+\b/g),
      ]),
  )
  // Set by the benches alone, for a node that they watch.
  const inner = ['MAYFLY_BENCH_STALLS']
  const told = [...config.matchAll(/`(MAYFLY_[A-Z0-9_]+)`/g)].map(([, name]) => name as string)
  const names = new Set(read.map(([name]) => name))
  expect([...new Set(told)].sort()).toEqual([...names].filter((name) => !inner.includes(name)).sort())
})
