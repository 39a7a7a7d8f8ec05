import { join } from 'node:path'
import { minio } from './go-programs.ts'
import { type Server, startProgram } from './server.ts'

/** Settings of an S3 client, as the JSON of a target. */
export interface S3Target {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** The bucket that every suite uses. */
export const BUCKET = 'bench'
const ACCESS_KEY = 'mayfly-bench'
const SECRET_KEY = 'mayfly-bench-secret'

export const { find: findMinio, install: installMinio, missing: minioMissing } = minio

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
