import { PersistedFolder } from '../../../service/persisted/persisted-folder.ts'
import { PersistedS3 } from '../../../service/persisted/persisted-s3.ts'
import {
  formatName,
  type PersistedDescription,
  type PersistedStore,
} from '../../../service/persisted/persisted-store.ts'
import type { Background } from '../../../service/process/background.ts'
import { type ConnectS3, S3Bucket } from '../../../service/s3/s3-bucket.ts'
import { EPHEMERAL_PREFIX } from '../../../service/s3/s3-settings.ts'
import { S3Tier } from '../../../storage-node/tiers/s3/s3-tier.ts'
import type { Host } from '../world/host.ts'
import type { SeededRandom } from '../world/random.ts'
import type { Timeline } from '../world/timeline.ts'
import { BackendFaults } from './backend-faults.ts'
import { mount } from './files.ts'
import { FolderDisk } from './folder-disk.ts'
import { SimulatedS3Driver } from './s3-driver.ts'
import { S3Endpoint } from './s3-endpoint.ts'

/** Maximum duration of a request of the S3 tier without a fault. */
const TIER_MS_MAX = 30
const SETTINGS = { region: 'r', bucket: 'b', accessKeyId: 'a', secretAccessKey: 's' }

/** What survives every process: an S3-compatible store and a disk. The code of the stores and of the S3 tier is the published one. */
export class Backends {
  readonly faults = new BackendFaults()
  /** Where this run stores persisted objects. */
  readonly persistedOn: 's3' | 'folder'
  readonly endpoint: S3Endpoint
  readonly disk: FolderDisk
  readonly #timeline: Timeline
  readonly #random: SeededRandom
  readonly #storeMsMax: number

  constructor(of: { timeline: Timeline; random: SeededRandom; storeMsMax: number }) {
    const { timeline, random, storeMsMax } = of
    this.#timeline = timeline
    this.#random = random
    this.#storeMsMax = storeMsMax
    this.persistedOn = random.chance(0.6) ? 's3' : 'folder'
    this.endpoint = new S3Endpoint(random.fork('endpoint'))
    this.disk = new FolderDisk(() => timeline.nowMs)
  }

  /** The persistent store, as a process on `host` opens it. */
  persistedOf(host: Host): PersistedStore {
    const { faults, disk } = this
    if (this.persistedOn === 's3') return new PersistedS3(this.#bucketOf(host, 'kept'), host.clock)
    const random = this.#random.fork(`disk/${host.id}`)
    return new PersistedFolder(mount({ disk, host, random, faults, msMax: this.#storeMsMax }), host.clock)
  }

  tierOf(host: Host, background: Background): S3Tier {
    return new S3Tier(host.id, this.#bucketOf(host, 'tier'), { ...host.runtime, background })
  }

  /** All persisted objects of a job, as a process on `host` reads them. */
  async readPersisted(
    host: Host,
    job: string,
  ): Promise<Map<string, PersistedDescription & { content: Buffer }>> {
    const store = this.persistedOf(host)
    const found = new Map<string, PersistedDescription & { content: Buffer }>()
    for (let after: string | null = ''; after !== null; ) {
      const { names, next }: Awaited<ReturnType<PersistedStore['list']>> = await store.list({
        prefix: `${job}/`,
        after,
        limit: 100,
      })
      for (const name of names) {
        const entry = await store.describe(name)
        if (entry === null) continue
        const content = await store.get(name, { offset: 0, length: entry.bytes }, entry.stamp ?? undefined)
        found.set(formatName(name), { ...entry, content })
      }
      after = next
    }
    return found
  }

  /** What is left in the stores although all jobs have ended and expired objects are swept. A node that died may have left uploads and incomplete files. */
  async strays(host: Host, hasDied: boolean): Promise<string[]> {
    await this.persistedOf(host).sweep(() => true)
    const { objects, uploads } = this.endpoint
    const records = [...objects.keys()].filter((key) => key.startsWith(EPHEMERAL_PREFIX))
    if (hasDied) return records
    const open = [...uploads.values()].map(({ key }) => `an upload of ${key}`)
    const incoming = this.disk.files.filter((path) => path.startsWith('/kept-incoming/'))
    return [...records, ...open, ...incoming]
  }

  #bucketOf(host: Host, use: string): S3Bucket {
    const { endpoint, faults } = this
    const world = {
      timeline: this.#timeline,
      endpoint,
      faults,
      storeMsMax: this.#storeMsMax,
      tierMsMax: TIER_MS_MAX,
    }
    const connect: ConnectS3 = (_, attempts) => {
      const random = this.#random.fork(`s3/${host.id}/${use}/${attempts}`)
      return new SimulatedS3Driver(world, { host, random, attempts })
    }
    return new S3Bucket({ ...SETTINGS, endpoint: `s3 of ${host.id}` }, host.clock, connect)
  }
}
