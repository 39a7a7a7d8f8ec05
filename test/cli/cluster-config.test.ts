import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { defaultConfig, parseConfig, readConfigFile } from '../../cli/up/config/cluster-config.ts'

const nodeClass = {
  name: 'local',
  cores: 1,
  ramBytes: 1073741824,
  ssdBytes: 8589934592,
  bytesPerSecond: 1000000000,
  pricePerHour: 0.1,
  nodesMax: 4,
}
const s3 = {
  endpoint: 'http://127.0.0.1:9000',
  region: 'us-east-1',
  bucket: 'mayfly',
  accessKeyId: 'id',
  secretAccessKey: 'secret',
}
const parse = (config: unknown) => parseConfig(JSON.stringify(config))
const withClass = (changes: object) => ({ nodeClasses: [{ ...nodeClass, ...changes }] })

test('an empty config gives the defaults', () => {
  expect(parse({})).toEqual(defaultConfig)
})

test('a whole config passes, without what only the supervisor needs to know', () => {
  const nodeClasses = [nodeClass, { ...nodeClass, name: 'big' }]
  expect(parse({ metadataServers: 2, warmNodes: 2, nodeClasses, s3 })).toEqual({
    ...defaultConfig,
    metadataServers: 2,
    warmNodes: 2,
    nodeClasses,
    s3,
  })
})

test('limits and further API keys are taken as they stand', () => {
  const limits = { jobs: 10, bytes: 2 ** 30, bytesPerSecond: 1e9, pricePerHour: 0.5 }
  const apiKeys = [
    { name: 'default', limits: { jobs: 3 } },
    { name: 'ci', key: 'a-key-of-16-characters', limits },
  ]
  expect(parse({ limits, apiKeys })).toEqual({ ...defaultConfig, limits, apiKeys })
})

test('a class without ssdBytes has no SSD', () => {
  const { ssdBytes, ...rest } = nodeClass
  expect(ssdBytes).toBeGreaterThan(0)
  expect(parse({ nodeClasses: [rest] }).nodeClasses[0]).toEqual({ ...rest, ssdBytes: 0 })
})

test('of tiers what is named replaces the default, and the rest stays', () => {
  const { tiers } = parse({ tiers: { ssd: { p99Ms: 1.5 }, s3: { pricePerGibWritten: 0 } } })
  const { ram, s3 } = defaultConfig.tiers
  expect(tiers).toEqual({ ram, ssd: { p99Ms: 1.5 }, s3: { ...s3, pricePerGibWritten: 0 } })
})

test('no more nodes are kept warm by default than may run', () => {
  expect(parse(withClass({ nodesMax: 0 })).warmNodes).toBe(0)
})

test.each([
  ['nodeClasses[0].ramBytes: it is -1, not a whole number from 1048576 to', withClass({ ramBytes: -1 })],
  ['nodeClasses[0].ramBytes: it is "1GiB", not a whole number', withClass({ ramBytes: '1GiB' })],
  ['nodeClasses[0].ramBytes: it is 1048576.5, not a whole number', withClass({ ramBytes: 1048576.5 })],
  ['nodeClasses[0].bytesPerSecond: it is 0', withClass({ bytesPerSecond: 0 })],
  ['nodeClasses[0].pricePerHour: it is null', withClass({ pricePerHour: null })],
  ['nodeClasses[0].cores: it is 0', withClass({ cores: 0 })],
  ['nodeClasses[0].ssdBytes: it is -5', withClass({ ssdBytes: -5 })],
  ['nodeClasses[0].nodesMax: it is 1000000', withClass({ nodesMax: 1_000_000 })],
  ['nodeClasses[0].name: it is "../x", not a text of the form', withClass({ name: '../x' })],
  ['nodeClasses[0].ramByte: there is no such field', withClass({ ramByte: 1 })],
  ['nodeClasses[1].name: it is missing', { nodeClasses: [nodeClass, {}] }],
  ['tiers: it is not an object', { tiers: [] }],
  ['tiers.hdd: there is no such field', { tiers: { hdd: {} } }],
  ['tiers.ssd: it is not an object', { tiers: { ssd: 7 } }],
  ['tiers.ssd.p99Ms: it is "7", not a number from 0', { tiers: { ssd: { p99Ms: '7' } } }],
  ['tiers.ram.p99Ms: it is -1, not a number from 0', { tiers: { ram: { p99Ms: -1 } } }],
  ['tiers.ssd.pricePerGibHour: there is no such field', { tiers: { ssd: { pricePerGibHour: 1 } } }],
  ['tiers.s3.pricePerGibRead: it is null', { tiers: { s3: { pricePerGibRead: null } } }],
  [
    'tiers: p99Ms falls somewhere from ram (1) over ssd (0.5) to s3 (200)',
    { tiers: { ssd: { p99Ms: 0.5 } } },
  ],
  ['limits.jobs: it is -1', { limits: { jobs: -1 } }],
  ['limits.jobs: it is 1.5, not a whole number', { limits: { jobs: 1.5 } }],
  ['limits.dollars: there is no such field', { limits: { dollars: 1 } }],
  ['apiKeys[0].key: it is missing', { apiKeys: [{ name: 'ci' }] }],
  ['apiKeys[0].key: it is "short", not a text of the form', { apiKeys: [{ name: 'ci', key: 'short' }] }],
  [
    'apiKeys[0].key: the default key is made by',
    { apiKeys: [{ name: 'default', key: 'a-key-of-16-characters' }] },
  ],
  [
    'apiKeys: two of them have the same key',
    { apiKeys: ['a', 'b'].map((name) => ({ name, key: 'a-key-of-16-characters' })) },
  ],
  ['apiKeys[0].limits.bytes: it is "1"', { apiKeys: [{ name: 'default', limits: { bytes: '1' } }] }],
  ['nodeClasses[0]: it is not an object', { nodeClasses: [7] }],
  ['nodeClasses: it is [], not a list of 1 to 100 elements', { nodeClasses: [] }],
  ["nodeClasses: two classes are named 'local'", { nodeClasses: [nodeClass, nodeClass] }],
  ['warmNodes: it is -1, not a whole number from 0 to 4', { warmNodes: -1 }],
  ['warmNodes: it is 5, not a whole number from 0 to 4', { warmNodes: 5 }],
  ['metadataServers: it is 9, not a whole number from 1 to 8', { metadataServers: 9 }],
  ['metadataServers: it is 0, not a whole number from 1', { metadataServers: 0 }],
  ['s3.endpoint: it is missing', { s3: { bucket: 'mayfly' } }],
  ['s3.endpoint: it is "minio", not a text of the form', { s3: { ...s3, endpoint: 'minio' } }],
  ['s3.bucket: it is "No", not a text of the form', { s3: { ...s3, bucket: 'No' } }],
  ['s3.secretAccessKey: it is missing', { s3: { ...s3, secretAccessKey: undefined } }],
  ['s3.secret: there is no such field', { s3: { ...s3, secret: 'x' } }],
  ['warmNode: there is no such field', { warmNode: 1 }],
  ['__proto__: there is no such field', JSON.parse('{"__proto__": 1}')],
  ['it is not an object', []],
])('a config is refused with «%s»', (message, config) => {
  expect(() => parse(config)).toThrow(message)
})

test('a file that is no JSON, or not there, is named', () => {
  const dir = mkdtempSync(join(tmpdir(), 'mayfly-test-'))
  const path = join(dir, 'mayfly.json')
  try {
    expect(() => readConfigFile(path)).toThrow(`config file ${path}: ENOENT`)
    writeFileSync(path, '{ "warmNodes": 1, }')
    expect(() => readConfigFile(path)).toThrow(`config file ${path}: it is not JSON`)
    writeFileSync(path, 'x'.repeat(2 ** 20 + 1))
    expect(() => readConfigFile(path)).toThrow('more than a config')
  } finally {
    rmSync(dir, { recursive: true })
  }
})
