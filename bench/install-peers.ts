import { compose, helm } from './servers/go-programs.ts'
import { installMinio } from './servers/minio.ts'
import { findPostgres, postgresMissing } from './servers/postgres.ts'
import { installPythonS3 } from './servers/python-s3.ts'
import { findRedis, redisMissing } from './servers/redis.ts'
import { installSchemathesis } from './servers/schemathesis.ts'

/** Finds the peers that Mayfly is compared with and tested against, and installs the missing ones. Exit code 1 if a peer is missing afterwards. */
const say = (line: string): void => void process.stdout.write(`${line}\n`)

for (const [found, missing] of [
  [findRedis(), redisMissing],
  [findPostgres(), postgresMissing],
] as const) {
  say(found ?? missing)
  if (found === null) process.exitCode = 1
}
for (const install of [installMinio, helm.install, compose.install, installSchemathesis, installPythonS3]) {
  try {
    say(await install(say))
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}
