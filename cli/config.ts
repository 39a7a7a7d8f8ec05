import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from '../service/process/environment.ts'

/** Settings of the command from its environment. */
export interface CliConfig {
  /** The cluster to talk to: both are set, or the credentials file is used. */
  readonly url: string | undefined
  readonly apiKey: string | undefined
  /** The state folder unless --dir is given. */
  readonly stateDir: string
  /** The environment that child processes inherit. */
  readonly environment: Environment
}

export function readConfig(env: Environment = process.env): CliConfig {
  const stateHome = env.XDG_STATE_HOME
  // By the XDG specification relative paths are ignored.
  const base = stateHome?.startsWith('/') ? stateHome : join(env.HOME ?? homedir(), '.local', 'state')
  return {
    url: env.MAYFLY_URL === '' ? undefined : env.MAYFLY_URL,
    apiKey: env.MAYFLY_API_KEY === '' ? undefined : env.MAYFLY_API_KEY,
    stateDir: join(base, 'mayfly'),
    environment: env,
  }
}
