import { connect } from 'mayfly'
import { Entrant } from '../load/entrant.ts'
import { Cluster } from '../servers/cluster.ts'
import { BUCKET, type S3Target } from '../servers/minio.ts'
import { startRedis } from '../servers/redis.ts'
import type { Server } from '../servers/server.ts'
import { startMinioWithBucket } from '../systems.ts'

/** The bytes of a job, and the RAM for them if they do not all fit. */
export interface Sizes {
  readonly dataBytes: number
  readonly ramBytes: number
}

/** Keys, index and hash table need space too: at 1 KiB about a fifth of the payload. */
const ROOM = 1.5
/** More than loopback carries, so that no rate limit is measured. */
const BYTES_PER_SECOND = 1e11
/** Allows every tier; faster ones are filled first. */
const anyTier = { latencySensitive: true, latencyMs: 1_000 } as const

/** Mayfly with enough RAM, Mayfly with a quarter of it above SSD or S3, a Redis with eviction, and S3 alone. */
export async function startTiered({ dataBytes, ramBytes }: Sizes): Promise<Map<string, Entrant>> {
  const started = new Map<string, Entrant>()
  const roomBytes = Math.ceil(dataBytes * ROOM)
  try {
    const below = await startMinioWithBucket()
    started.set('S3 alone (MinIO)', new Entrant('s3', below))
    const s3 = { ...(JSON.parse(below.target) as S3Target), bucket: BUCKET }
    const redis = async (evictsAt?: number): Promise<Entrant> =>
      new Entrant('ioredis', await startRedis(evictsAt === undefined ? {} : { evictsAt }))
    const mayfly = async (ram: number, lower: { ssdBytes?: number; s3?: typeof s3 }): Promise<Entrant> =>
      new Entrant('mayfly', await startMayfly({ ramBytes: ram, capacityBytes: roomBytes, ...lower }))
    started.set('Mayfly, all RAM', await mayfly(2 * roomBytes, {}))
    started.set('Mayfly, RAM and SSD', await mayfly(ramBytes, { ssdBytes: 2 * roomBytes }))
    started.set('Mayfly, RAM and S3', await mayfly(ramBytes, { s3 }))
    started.set('Redis, all RAM', await redis())
    started.set('Redis, allkeys-lru', await redis(ramBytes))
    return started
  } catch (error) {
    await stopTiered(started)
    throw error
  }
}

/** Mayfly stops before the store that it uses. */
export async function stopTiered(started: ReadonlyMap<string, Entrant>): Promise<void> {
  for (const entrant of [...started.values()].reverse()) {
    await entrant.endDrivers()
    await entrant.server.stop()
  }
}

async function startMayfly(of: {
  ramBytes: number
  capacityBytes: number
  ssdBytes?: number
  s3?: S3Target & { bucket: string }
}): Promise<Server> {
  const { ramBytes, capacityBytes, ssdBytes = 0, s3 } = of
  const nodeClass = { ramBytes, ssdBytes, nodesMax: 1, bytesPerSecond: BYTES_PER_SECOND }
  const cluster = await Cluster.start(nodeClass, { s3 })
  try {
    const mayfly = await connect(cluster.url, { apiKey: cluster.apiKey })
    const job = await mayfly.registerJob('tiers', { ...anyTier, capacityBytes, peakBytesPerSecond: 1e9 })
    return {
      target: job.ticket,
      pids: () => cluster.pids(),
      stop: async () => {
        await job.close()
        await cluster.stop()
      },
    }
  } catch (error) {
    await cluster.stop()
    throw error
  }
}
