import type { Open } from './client.ts'

/** What is measured: a server, with one of the libraries that a function would use for it. */
export type SystemName = 'mayfly' | 'ioredis' | 'ioredis pipelining' | 'node-redis' | 's3' | 'limit'

/** Each library is loaded when it is needed, so that no process pays for those of others. */
export const openers: Readonly<Record<SystemName, () => Promise<Open>>> = {
  mayfly: async () => (await import('./mayfly.ts')).open,
  ioredis: async () => (await import('./ioredis.ts')).open,
  'ioredis pipelining': async () => (await import('./ioredis.ts')).openPipelining,
  'node-redis': async () => (await import('./node-redis.ts')).open,
  s3: async () => (await import('./s3.ts')).open,
  limit: async () => (await import('./limit.ts')).open,
}
