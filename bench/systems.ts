import type { SystemName } from './clients/open.ts'
import { startDisk } from './servers/disk.ts'
import { startLimit } from './servers/limit.ts'
import { startMayfly } from './servers/mayfly.ts'
import { findMinio, minioMissing, startMinio } from './servers/minio.ts'
import { findRedis, redisMissing, startRedis } from './servers/redis.ts'
import type { Server } from './servers/server.ts'

export type ServerName = 'mayfly' | 'redis' | 'minio' | 'disk' | 'limit'

/** The server that each system is a client of. */
export const serverOf: Readonly<Record<SystemName, ServerName>> = {
  mayfly: 'mayfly',
  ioredis: 'redis',
  'ioredis pipelining': 'redis',
  'node-redis': 'redis',
  iovalkey: 'redis',
  'valkey-glide': 'redis',
  s3: 'minio',
  disk: 'disk',
  limit: 'limit',
}

interface ServerKind {
  /** Name in tables. */
  readonly title: string
  /** A line for the user if it cannot be started, else null. */
  readonly missing: () => string | null
  readonly start: (options: { watchesStalls: boolean; tls: boolean }) => Promise<Server>
}

export const servers: Readonly<Record<ServerName, ServerKind>> = {
  mayfly: { title: 'Mayfly', missing: () => null, start: startMayfly },
  redis: {
    title: 'Redis',
    missing: () => (findRedis() === null ? redisMissing : null),
    start: ({ tls }) => startRedis({ tls }),
  },
  minio: {
    title: 'MinIO',
    missing: () => (findMinio() === null ? minioMissing : null),
    start: startMinioWithBucket,
  },
  disk: { title: 'local disk', missing: () => null, start: startDisk },
  limit: { title: 'limit', missing: () => null, start: startLimit },
}

/** MinIO with the bucket that its clients need. */
export async function startMinioWithBucket(): Promise<Server> {
  const server = await startMinio()
  const { createBucket } = await import('./clients/s3.ts')
  await createBucket(server.target)
  return server
}
