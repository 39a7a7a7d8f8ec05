import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { findCredentials, stateDirOf } from '../../api/credentials.ts'
import type { Credentials } from '../../api/http.ts'
import { gatewayFlags, programs } from '../../up/programs.ts'
import { stateFolderAt } from '../../up/state-folder.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  exitCodes,
  notEmpty,
  onRun,
} from '../../verb.ts'

interface Flags extends ClusterFlags {
  readonly listen: string
  readonly endpoint?: string
  readonly secretFile?: string
}

export const gateway: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'gateway', {
    summary: 'serve S3 until Ctrl-C, for all jobs of a cluster or for that of MAYFLY_TICKET',
    details:
      'A gateway has no state: any number of them serve the same jobs. `mayfly up` runs one of its own.\nWith MAYFLY_TICKET it serves that job alone, and needs neither the secret of the cluster nor its controller.',
    examples: ['mayfly gateway --listen 127.0.0.1:7481', 'MAYFLY_TICKET=… mayfly gateway'],
  })
    .option('--listen <address>', 'host:port; port 0 takes a free one', notEmpty, '127.0.0.1:7480')
    .option('--endpoint <url>', 'the URL that clients use (default: that of the listener)', notEmpty)
    .option(
      '--secret-file <file>',
      'the secret of the cluster (default: that of `mayfly up` in its folder)',
      notEmpty,
    )
  clusterOptions(verb)
  onRun<Flags>(verb, cli, async (_, flags) => {
    const { config } = cli
    const settings =
      config.ticket === undefined
        ? settingsOf(
            findCredentials(flags, config),
            flags.secretFile ?? stateFolderAt(stateDirOf(flags, config)).secretFile,
          )
        : { MAYFLY_TICKET: config.ticket }
    const { MAYFLY_SECRET_FILE: __, ...environment } = config.environment
    return await run({
      ...environment,
      ...settings,
      MAYFLY_LISTEN: flags.listen,
      ...(flags.endpoint !== undefined && { MAYFLY_S3_ENDPOINT: flags.endpoint }),
    })
  })
}

function settingsOf({ url, caFile }: Credentials, secretFile: string): NodeJS.ProcessEnv {
  return {
    MAYFLY_CONTROLLER_URL: url,
    MAYFLY_SECRET_FILE: secretFile,
    ...(caFile !== undefined && { MAYFLY_CA_FILE: caFile }),
  }
}

/** Ctrl-C reaches the gateway too, which ends by itself. */
async function run(env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(
    process.execPath,
    [...gatewayFlags, fileURLToPath(new URL('gateway/main.js', programs))],
    {
      stdio: 'inherit',
      env,
    },
  )
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal)
  process.on('SIGTERM', forward).on('SIGINT', forward)
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      resolve(code ?? (signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.failed)),
    )
  })
}
