import { decodeRecord } from '../../../metadata/decide/job-record.ts'
import { startMetadata } from '../../../metadata/server.ts'
import { DEFAULT_BUCKET, DEFAULT_BUCKET_ID } from '../../../protocol/model/keys.ts'
import { Background } from '../../../service/process/background.ts'
import type { Logger } from '../../../service/process/log.ts'
import type { Home } from '../traffic/values.ts'
import type { Cluster } from './cluster.ts'
import type { Host } from './host.ts'
import type { Spot } from './inspection.ts'
import { type Disk, MemoryPlacementStore } from './memory-placement-store.ts'

const PORT = 7500
/** No bucket has this id. */
const UNKNOWN_BUCKET = 0xffff_ffff

/** One metadata server: the process that runs it now, and the disk that survives it. */
export interface MetadataServer {
  readonly id: string
  readonly address: string
  readonly ip: string
  readonly disk: Disk
  host: Host
}

/** The metadata servers of one run. */
export class MetadataServers {
  readonly all: readonly MetadataServer[]
  readonly #cluster: Cluster
  readonly #log: Logger
  /** Moves of slots that were stored as published, as `job/slot/target`. */
  readonly #published = new Set<string>()
  /** The newest id of each bucket, by `job/name`. */
  readonly #bucketIds = new Map<string, number>()

  constructor(cluster: Cluster, options: { count: number; log: Logger }) {
    this.#cluster = cluster
    this.#log = options.log
    this.all = Array.from({ length: options.count }, (_, index) => {
      const ip = `10.0.0.${index + 1}`
      const disk = {
        ...{ generation: 0, address: null },
        ...{ records: new Map(), moved: new Map(), deadNodes: new Set<string>() },
      }
      return {
        id: `m-${index + 1}`,
        ip,
        address: `${ip}:${PORT}`,
        disk,
        host: cluster.newHost('metadata', ip),
      }
    })
  }

  get addresses(): string[] {
    return this.all.map(({ address }) => address)
  }

  /** Starts a server, after a death on the same disk. */
  async start(server: MetadataServer): Promise<void> {
    const cluster = this.#cluster
    if (!server.host.alive) server.host = cluster.newHost('metadata', server.ip)
    const { host, id, ip, disk } = server
    const store = new MemoryPlacementStore(disk, {
      host,
      random: cluster.random.fork(`store/${host.id}`),
      onDead: (nodes) => cluster.declareDead(nodes, server),
      onBuckets: (record) => {
        for (const { id, name } of record.buckets) this.#bucketIds.set(`${record.id}/${name}`, id)
      },
      onPublished: ({ job, target, slots }) => {
        for (const slot of slots) this.#published.add(`${job}/${slot}/${target}`)
      },
    })
    const config = { id, dir: '', listen: { host: ip, port: PORT }, ...cluster.shared() }
    const starting = startMetadata(config, {
      runtime: host.runtime,
      network: cluster.network.of(host),
      store,
      tellController: (report) => cluster.reporting.metadata(host, id, report),
      cpuSeconds: () => 0,
      log: this.#log,
      background: new Background({ runtime: host.runtime, log: this.#log }),
    })
    await host.unlessDead(starting)
  }

  /** How nodes name keys, with the current or last id of each bucket. */
  spots(): (home: Home) => Spot {
    const ids = new Map(this.#bucketIds)
    return ({ job, bucket, key }) => ({
      job,
      bucket: bucket === DEFAULT_BUCKET ? DEFAULT_BUCKET_ID : (ids.get(`${job}/${bucket}`) ?? UNKNOWN_BUCKET),
      key,
    })
  }

  /** Whether a move of the slot to the node was ever stored as published. */
  wasPublished(job: string, slot: number, target: string): boolean {
    return this.#published.has(`${job}/${slot}/${target}`)
  }
}

/** The jobs that a server decides for, according to its disk; with `without`, those of which that node has no slot. */
export function jobsOf({ disk }: MetadataServer, without = ''): string[] {
  return [...disk.records.values()]
    .map(decodeRecord)
    .flatMap(({ id, departure: leaving, nodes }) =>
      leaving?.transferring || nodes.some((node) => node.id === without) ? [] : [id],
    )
}
