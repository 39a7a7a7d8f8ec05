import type { Open } from './client.ts'

/** A system under test: a server together with one of the libraries that a function would use for it. */
export type SystemName =
  | 'mayfly'
  | 'ioredis'
  | 'ioredis pipelining'
  | 'node-redis'
  | 'iovalkey'
  | 'valkey-glide'
  | 's3'
  | 'disk'
  | 'limit'

/** Libraries are loaded on demand, so that no process pays for the libraries of other systems. */
export const openers: Readonly<Record<SystemName, () => Promise<Open>>> = {
  mayfly: async () => (await import('./mayfly.ts')).open,
  ioredis: async () => (await import('./ioredis.ts')).open,
  'ioredis pipelining': async () => (await import('./ioredis.ts')).openPipelining,
  'node-redis': async () => (await import('./node-redis.ts')).open,
  iovalkey: async () => (await import('./iovalkey.ts')).open,
  'valkey-glide': async () => (await import('./valkey-glide.ts')).open,
  s3: async () => (await import('./s3.ts')).open,
  disk: async () => (await import('./disk.ts')).open,
  limit: async () => (await import('./limit.ts')).open,
}

/** The package that each system needs. It is not a dependency of the server's package, so it may be missing. */
export const libraries: Readonly<Record<SystemName, string | null>> = {
  mayfly: null,
  ioredis: 'ioredis',
  'ioredis pipelining': 'ioredis',
  'node-redis': 'redis',
  iovalkey: 'iovalkey',
  'valkey-glide': '@valkey/valkey-glide',
  s3: '@aws-sdk/client-s3',
  disk: null,
  limit: null,
}

/** A line for the user if the package is not installed, else null. */
export function missingLibrary(system: SystemName): string | null {
  const library = libraries[system]
  if (library === null) return null
  try {
    import.meta.resolve(library)
    return null
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    return `${library} is missing: npm install ${library}`
  }
}
