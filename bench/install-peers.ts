import { installMinio } from './servers/minio.ts'
import { findRedis, redisMissing } from './servers/redis.ts'

/** Finds, or installs once, what Mayfly is compared with. Exit code 1 if something is missing. */
const say = (line: string): void => void process.stdout.write(`${line}\n`)

const redis = findRedis()
say(redis ?? redisMissing)
try {
  say(await installMinio(say))
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
if (redis === null) process.exitCode = 1
