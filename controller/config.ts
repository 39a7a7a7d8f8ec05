import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { MayflyError } from '../protocol/errors.ts'
import { METADATA_SERVERS_MAX } from '../protocol/limits.ts'
import { readNetwork } from '../service/network/listening.ts'
import { readState } from '../service/postgres/postgres-settings.ts'
import { type Environment, readSecret, readText, readTracesUrl } from '../service/process/environment.ts'
import { readPrivateFile } from '../service/process/private-file.ts'
import { readS3 } from '../service/s3/s3-settings.ts'
import { type KubernetesSettings, readKubernetesFile } from './nodes/fleet/kubernetes/settings.ts'
import type { ApiKey, Quota } from './records/quota.ts'
import type { Role } from './records/roles.ts'
import type { NodeClass } from './sizing/node-class.ts'
import { defaultTraits, type TierTraits } from './sizing/tier-traits.ts'

/** The built page, next to the compiled planes: this file is dist/controller/config.js. */
const PAGE_DIR = fileURLToPath(new URL('../console/', import.meta.url))

/** Settings of the controller, from its environment. Throws `BAD_REQUEST`, naming the variable that is wrong. */
export function readConfig(env: Environment = process.env) {
  const network = readNetwork(env)
  const cluster = readCluster(env, readApiKey(env))
  return Object.freeze({
    listen: network.listen,
    network,
    /** The name that clients expect in certificates of metadata and nodes, in the form of `Ticket`. */
    tlsName: network.tls?.name ?? null,
    state: readState(env),
    persistedDir: readText(env, 'MAYFLY_KEPT_DIR'),
    s3: readS3(env),
    secret: readSecret(env),
    ...cluster,
    kubernetes: readKubernetes(env, cluster.classes),
    podName: env.MAYFLY_POD_NAME || null,
    pageDir: PAGE_DIR,
    logLevel: readText(env, 'MAYFLY_LOG_LEVEL', 'info'),
    tracesUrl: readTracesUrl(env),
  })
}

/** The others concern the process, not what it serves. */
export type ControllerConfig = Omit<
  ReturnType<typeof readConfig>,
  'network' | 'kubernetes' | 'podName' | 'metadataServers'
>

/** The name, in the limits of the config file, of the key that `mayfly up` makes. */
const DEFAULT_KEY_NAME = 'default'

/** Null if others start the cluster's processes. */
function readKubernetes(env: Environment, classes: readonly NodeClass[]): KubernetesSettings | null {
  const path = env.MAYFLY_KUBERNETES_FILE
  return path === undefined || path === '' ? null : readKubernetesFile(path, classes)
}

function readApiKey(env: Environment): string {
  const path = readText(env, 'MAYFLY_API_KEY_FILE')
  return checkKey(readPrivateFile(path).trim(), path)
}

function checkKey(key: string, where: string): string {
  if (/^\S{16,}$/.test(key)) return key
  throw new MayflyError(
    'BAD_REQUEST',
    `${where} does not hold an API key of at least 16 characters on one line`,
  )
}

/** The part of the config file that `mayfly up` passes on. */
interface ClusterFile {
  /** Those that a Kubernetes fleet starts; the supervisor starts its own. */
  readonly metadataServers?: number
  readonly warmNodes: number
  readonly nodeClasses: NodeClass[]
  readonly tiers: TierTraits
  readonly limits: Quota
  /** Further keys. The entry `default` holds the limits of the key in its own file, without a key. */
  readonly apiKeys: readonly {
    readonly name: string
    readonly key?: string
    readonly role?: Role
    readonly limits: Quota
  }[]
}

/** The supervisor has validated the file in detail; this check only catches a broken file. */
function readCluster(env: Environment, defaultKey: string) {
  const path = readText(env, 'MAYFLY_CLUSTER_FILE')
  const file = JSON.parse(readFileSync(path, 'utf8')) as Partial<ClusterFile>
  const { warmNodes, nodeClasses, tiers: traits = defaultTraits, limits: quota = {}, apiKeys = [] } = file
  const [firstClass] = nodeClasses ?? []
  if (nodeClasses === undefined || firstClass === undefined || !nodeClasses.every(isNodeClass)) {
    throw new MayflyError(
      'BAD_REQUEST',
      `${path} has no nodeClasses with name, ramBytes, ssdBytes, bytesPerSecond and nodesMax`,
    )
  }
  if (warmNodes === undefined || !Number.isSafeInteger(warmNodes) || warmNodes < 0) {
    throw new MayflyError('BAD_REQUEST', `warmNodes in ${path} is not a whole number from 0`)
  }
  const { metadataServers = 1 } = file
  if (
    !Number.isSafeInteger(metadataServers) ||
    metadataServers < 1 ||
    metadataServers > METADATA_SERVERS_MAX
  ) {
    throw new MayflyError(
      'BAD_REQUEST',
      `metadataServers in ${path} is not a whole number from 1 to ${METADATA_SERVERS_MAX}`,
    )
  }
  const keys = keysOf(apiKeys, defaultKey)
  return { metadataServers, warmNodes, firstClass, classes: nodeClasses, traits, quota, apiKeys: keys }
}

function keysOf(entries: ClusterFile['apiKeys'], defaultKey: string): ApiKey[] {
  const ofDefault = entries.find(({ name }) => name === DEFAULT_KEY_NAME)
  const others = entries.filter(({ name }) => name !== DEFAULT_KEY_NAME)
  return [
    { name: DEFAULT_KEY_NAME, key: defaultKey, role: 'admin', quota: ofDefault?.limits ?? {} },
    ...others.map(({ name, key = '', role = 'driver', limits }) => ({
      name,
      key: checkKey(key, `API key '${name}'`),
      role,
      quota: limits,
    })),
  ]
}

function isNodeClass({ name, ramBytes, ssdBytes, bytesPerSecond, nodesMax }: NodeClass): boolean {
  const numbers = [ramBytes, ssdBytes, bytesPerSecond, nodesMax]
  return (
    typeof name === 'string' &&
    numbers.every((value) => Number.isSafeInteger(value) && value >= 0) &&
    ramBytes > 0 &&
    bytesPerSecond > 0
  )
}
