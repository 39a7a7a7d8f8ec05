import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from '../service/process/environment.ts'

/** What the command takes from its environment. */
export interface CliConfig {
  /** Of the cluster to talk to; both or the credentials file. */
  readonly url: string | undefined
  readonly apiKey: string | undefined
  /** Where a cluster's state lies if --dir does not say. */
  readonly stateDir: string
  /** What processes that are started inherit. */
  readonly environment: Environment
}

export function readConfig(env: Environment = process.env): CliConfig {
  const stateHome = env.XDG_STATE_HOME
  // The XDG specification has relative paths ignored.
  const base = stateHome?.startsWith('/') ? stateHome : join(env.HOME ?? homedir(), '.local', 'state')
  return {
    url: env.MAYFLY_URL === '' ? undefined : env.MAYFLY_URL,
    apiKey: env.MAYFLY_API_KEY === '' ? undefined : env.MAYFLY_API_KEY,
    stateDir: join(base, 'mayfly'),
    environment: env,
  }
}
