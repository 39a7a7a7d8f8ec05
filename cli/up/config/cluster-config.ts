import { readFileSync, statSync } from 'node:fs'
import { type Quota, quotaDimensions } from '../../../controller/records/quota.ts'
import { type Role, roles } from '../../../controller/records/roles.ts'
import type { NodeClass } from '../../../controller/sizing/node-class.ts'
import { defaultTraits, type TierTraits } from '../../../controller/sizing/tier-traits.ts'
import {
  API_KEYS_MAX,
  CONFIG_BYTES_MAX,
  JOB_NODES_MAX,
  METADATA_SERVERS_MAX,
  NODE_CLASSES_MAX,
} from '../../../protocol/limits.ts'
import { requirePrivate } from '../../../service/process/private-file.ts'
import type { S3Settings } from '../../../service/s3/s3-settings.ts'
import { ConfigError, type Field, Fields, type Range } from './fields.ts'
import { defaultNetwork, type NetworkSettings, readNetworkSettings } from './network-settings.ts'

/** The configuration of `mayfly up`, which the controller reads as well. */
export interface ClusterConfig {
  /** Number at the start; more are started under load. */
  readonly metadataServers: number
  /** Nodes that are kept running without a job, so that a registration need not wait for a process. */
  readonly warmNodes: number
  readonly nodeClasses: readonly NodeClass[]
  /** The store of the S3 tier and of persistent objects; null if there is none. */
  readonly s3: S3Settings | null
  /** URL of the PostgreSQL that stores the decisions; null for SQLite files in the state folder. */
  readonly database: string | null
  readonly tiers: TierTraits
  /** Bounds of all jobs and nodes together. */
  readonly limits: Quota
  readonly apiKeys: readonly KeyConfig[]
  readonly network: NetworkSettings
}

/** A further API key; the entry `default` without a key sets the limits of the key that `mayfly up` makes. */
interface KeyConfig {
  readonly name: string
  readonly key?: string
  /** `driver` by default; the key of `mayfly up` is `admin`. */
  readonly role?: Role
  readonly limits: Quota
}

/** Up to four nodes of 1 GiB: they fit on a laptop, and a larger job spans several processes. */
export const defaultConfig: ClusterConfig = {
  metadataServers: 1,
  warmNodes: 1,
  nodeClasses: [
    {
      name: 'local',
      cores: 1,
      ramBytes: 2 ** 30,
      ssdBytes: 8 * 2 ** 30,
      bytesPerSecond: 1e9,
      pricePerHour: 0.1,
      nodesMax: 4,
    },
  ],
  s3: null,
  database: null,
  tiers: defaultTraits,
  limits: {},
  apiKeys: [],
  network: defaultNetwork,
}

const MIB = 1024 * 1024
/** It may hold a password. */
const DATABASE_URL = /^postgres(ql)?:\/\/\S{1,1024}$/
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/
const wholeNumber = { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true } as const satisfies Range

/** Reads and checks a config file. Throws a ConfigError that names the file and the field. */
export function readConfigFile(path: string): ClusterConfig {
  try {
    const config = parseConfig(readText(path))
    const hasKeys = config.apiKeys.some(({ key }) => key !== undefined)
    if (config.s3 !== null || config.database !== null || hasKeys) requirePrivate(path)
    return config
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(`config file ${path}: ${reason}`, { cause: error })
  }
}

/** Checks the text of a config file. Throws a ConfigError that names the field, like `nodeClasses[0].ramBytes`. */
export function parseConfig(text: string): ClusterConfig {
  const fields = Fields.of(parseJson(text), '')
  const metadataServers =
    fields.optional('metadataServers', (at) =>
      at.number({ ...wholeNumber, least: 1, most: METADATA_SERVERS_MAX }),
    ) ?? defaultConfig.metadataServers
  const s3 = fields.optional('s3', (at) => readS3(at.fields())) ?? defaultConfig.s3
  const database = fields.optional('database', (at) => at.text(DATABASE_URL)) ?? defaultConfig.database
  const nodeClasses =
    fields.optional('nodeClasses', (at) => {
      const classes = at
        .list({ least: 1, most: NODE_CLASSES_MAX })
        .map((each) => readNodeClass(each.fields()))
      const names = classes.map(({ name }) => name)
      const twice = names.find((name, i) => names.indexOf(name) !== i)
      if (twice !== undefined) at.refuse(`two classes are named '${twice}'`)
      return classes
    }) ?? defaultConfig.nodeClasses
  const nodesMax = nodeClasses.reduce((sum, each) => sum + each.nodesMax, 0)
  const warmNodes =
    fields.optional('warmNodes', (at) => at.number({ ...wholeNumber, most: nodesMax })) ??
    Math.min(defaultConfig.warmNodes, nodesMax)
  const traits = fields.optional('tiers', readTiers) ?? defaultConfig.tiers
  const limits = fields.optional('limits', (at) => readLimits(at.fields())) ?? defaultConfig.limits
  const apiKeys = fields.optional('apiKeys', readKeys) ?? defaultConfig.apiKeys
  const network = readNetworkSettings(fields)
  fields.refuseOthers()
  return { metadataServers, warmNodes, nodeClasses, tiers: traits, s3, database, limits, apiKeys, network }
}

function readNodeClass(fields: Fields): NodeClass {
  const nodeClass = {
    name: fields.required('name', (at) => at.text(NAME)),
    cores: fields.required('cores', (at) => at.number({ least: 0.1, most: 1024 })),
    ramBytes: fields.required('ramBytes', (at) => at.number({ ...wholeNumber, least: MIB })),
    ssdBytes: fields.optional('ssdBytes', (at) => at.number(wholeNumber)) ?? 0,
    bytesPerSecond: fields.required('bytesPerSecond', (at) => at.number({ ...wholeNumber, least: 1 })),
    pricePerHour: fields.required('pricePerHour', (at) => at.number({ least: 0, most: 1e6 })),
    nodesMax: fields.required('nodesMax', (at) => at.number({ ...wholeNumber, most: JOB_NODES_MAX })),
  }
  fields.refuseOthers()
  return nodeClass
}

/** Traits that are not named keep their defaults. */
function readTiers(at: Field): TierTraits {
  const fields = at.fields()
  const { ram, ssd, s3 } = defaultTraits
  const traits = {
    ram: fields.optional('ram', (each) => readTraits(each, ram)) ?? ram,
    ssd: fields.optional('ssd', (each) => readTraits(each, ssd)) ?? ssd,
    s3: fields.optional('s3', (each) => readTraits(each, s3)) ?? s3,
  }
  fields.refuseOthers()
  const [first, second, third] = [traits.ram.p99Ms, traits.ssd.p99Ms, traits.s3.p99Ms]
  if (first > second || second > third) {
    at.refuse(`p99Ms falls somewhere from ram (${first}) over ssd (${second}) to s3 (${third})`)
  }
  return traits
}

function readTraits<Traits extends Readonly<Record<string, number>>>(at: Field, byDefault: Traits): Traits {
  const fields = at.fields()
  const traits = Object.entries(byDefault).map(([name, value]) => [
    name,
    fields.optional(name, (each) => each.number({ least: 0, most: 1e6 })) ?? value,
  ])
  fields.refuseOthers()
  return Object.fromEntries(traits) as Traits
}

function readLimits(fields: Fields): Quota {
  const limits = quotaDimensions.flatMap((name) => {
    const whole = name !== 'pricePerHour'
    const limit = fields.optional(name, (at) => at.number({ ...wholeNumber, whole }))
    return limit === undefined ? [] : [[name, limit]]
  })
  fields.refuseOthers()
  return Object.fromEntries(limits) as Quota
}

function readKeys(at: Field): KeyConfig[] {
  const keys = at.list({ least: 0, most: API_KEYS_MAX }).map((each) => readKey(each.fields()))
  for (const part of ['name', 'key'] as const) {
    const values = keys.flatMap((key) => key[part] ?? [])
    if (new Set(values).size < values.length) at.refuse(`two of them have the same ${part}`)
  }
  return keys
}

function readKey(fields: Fields): KeyConfig {
  const name = fields.required('name', (at) => at.text(NAME))
  const limits = fields.optional('limits', (at) => readLimits(at.fields())) ?? {}
  if (name === 'default') {
    fields.optional('key', (at) => at.refuse('the default key is made by `mayfly up`; leave the field out'))
    fields.refuseOthers()
    return { name, limits }
  }
  const key = fields.required('key', (at) => at.text(/^\S{16,256}$/))
  const role = fields.optional('role', (at) => at.text(new RegExp(`^(${roles.join('|')})$`)) as Role)
  fields.refuseOthers()
  return { name, key, ...(role !== undefined && { role }), limits }
}

function readS3(fields: Fields): S3Settings {
  const text = (name: string): string => fields.required(name, (at) => at.text(/^\S{1,256}$/))
  const settings = {
    endpoint: fields.required('endpoint', (at) => at.text(/^https?:\/\/\S+$/)),
    region: text('region'),
    bucket: fields.required('bucket', (at) => at.text(/^[a-z0-9][a-z0-9.-]{2,62}$/)),
    accessKeyId: text('accessKeyId'),
    secretAccessKey: text('secretAccessKey'),
  }
  fields.refuseOthers()
  return settings
}

function readText(path: string): string {
  const { size } = statSync(path)
  if (size > CONFIG_BYTES_MAX)
    throw new ConfigError(`it has ${size} bytes, more than a config of ${CONFIG_BYTES_MAX} can have`)
  return readFileSync(path, 'utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ConfigError(`it is not JSON: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}
