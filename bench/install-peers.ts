import { compose, helm } from './servers/go-programs.ts'
import { installMinio } from './servers/minio.ts'
import { findPostgres, postgresMissing } from './servers/postgres.ts'
import { installPython } from './servers/python-packages.ts'
import { findRedis, redisMissing } from './servers/redis.ts'

/** Finds the peers that Mayfly is compared with and tested against, and installs the missing ones. Exit code 1 if a peer is missing afterwards. */
const say = (line: string): void => void process.stdout.write(`${line}\n`)

for (const [found, missing] of [
  [findRedis(), redisMissing],
  [findPostgres(), postgresMissing],
] as const) {
  say(found ?? missing)
  if (found === null) process.exitCode = 1
}
const installations = [
  () => installMinio(say),
  () => helm.install(say),
  () => compose.install(say),
  () => installPython('schemathesis', say),
  () => installPython('pythonS3', say),
]
for (const install of installations) {
  try {
    say(await install())
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    process.exitCode = 1
  }
}
