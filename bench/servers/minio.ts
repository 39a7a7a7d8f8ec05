import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDir, findOnPath, isExecutable } from './path.ts'
import { type Server, startProgram } from './server.ts'

/** Settings of an S3 client, as the JSON of a target. */
export interface S3Target {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

const MODULE = 'github.com/minio/minio@latest'
const ACCESS_KEY = 'mayfly-bench'
const SECRET_KEY = 'mayfly-bench-secret'

/**
 * Looks for MAYFLY_MINIO, then for `minio` on the PATH, then for what `installMinio` has built; null if there is none. Throws if MAYFLY_MINIO is set and names
 * no program.
 */
export function findMinio(env: NodeJS.ProcessEnv = process.env): string | null {
  const chosen = env.MAYFLY_MINIO
  if (chosen) {
    if (!isExecutable(chosen)) throw new Error(`MAYFLY_MINIO is ${chosen}, which is no program`)
    return chosen
  }
  const cached = join(cacheDir(env), 'bin', 'minio')
  return findOnPath('minio', env.PATH) ?? (isExecutable(cached) ? cached : null)
}

export const minioMissing =
  'MinIO is missing: set MAYFLY_MINIO to its file, or let `npm run peers` build it, which needs go (https://go.dev) on the PATH'

/** Builds MinIO into the user's cache, once; resolves with its file. Takes minutes and about 2 GiB of Go's caches. */
export async function installMinio(say: (line: string) => void): Promise<string> {
  const found = findMinio()
  if (found !== null) return found
  const go = findOnPath('go')
  if (go === null) throw new Error(minioMissing)
  const dir = join(cacheDir(process.env), 'bin')
  say(`building ${MODULE} into ${dir}, which takes some minutes`)
  await promisify(execFile)(go, ['install', MODULE], {
    env: { ...process.env, GOBIN: dir, CGO_ENABLED: '0', GOFLAGS: '' },
  })
  return join(dir, 'minio')
}

/** One server with one folder, in RAM where the system allows it, because short-lived data needs no disk. Its target is the JSON of an `S3Target`. */
export async function startMinio(): Promise<Server> {
  const file = findMinio()
  if (file === null) throw new Error(minioMissing)
  const server = await startProgram({
    file,
    args: ({ port, dir }) => [
      ...['server', join(dir, 'data'), '--quiet'],
      ...['--address', `127.0.0.1:${port}`, '--console-address', '127.0.0.1:0'],
    ],
    environment: { MINIO_ROOT_USER: ACCESS_KEY, MINIO_ROOT_PASSWORD: SECRET_KEY, MINIO_BROWSER: 'off' },
    inMemory: true,
    isReady,
  })
  const target: S3Target = {
    endpoint: `http://127.0.0.1:${server.port}`,
    region: 'us-east-1',
    accessKeyId: ACCESS_KEY,
    secretAccessKey: SECRET_KEY,
  }
  return { ...server, target: JSON.stringify(target) }
}

/** The health pages answer before MinIO serves. Until it serves, an anonymous request gets 503; after that it is refused. */
async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/`)).status === 403
  } catch (error) {
    // fetch throws a TypeError if the connection is refused.
    if (error instanceof TypeError) return false
    throw error
  }
}
