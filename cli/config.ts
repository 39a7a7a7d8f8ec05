import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from '../service/process/environment.ts'

/** Settings of the command from its environment. */
export interface CliConfig {
  /** The cluster to talk to: both are set, or a context or the credentials file is used. */
  readonly url: string | undefined
  readonly apiKey: string | undefined
  /** The CA of clusters that speak TLS, where their credentials name none. */
  readonly caFile: string | undefined
  /** The job of the verbs that read and write objects, which then take no JOB. */
  readonly ticket: string | undefined
  /** The state folder unless --dir is given. */
  readonly stateDir: string
  /** The folder of the contexts file. */
  readonly configDir: string
  /** The environment that child processes inherit. */
  readonly environment: Environment
}

export function readConfig(env: Environment = process.env): CliConfig {
  const home = env.HOME ?? homedir()
  return {
    url: given(env.MAYFLY_URL),
    apiKey: given(env.MAYFLY_API_KEY),
    caFile: given(env.MAYFLY_CA_FILE),
    ticket: given(env.MAYFLY_TICKET),
    stateDir: join(absolute(env.XDG_STATE_HOME) ?? join(home, '.local', 'state'), 'mayfly'),
    configDir: join(absolute(env.XDG_CONFIG_HOME) ?? join(home, '.config'), 'mayfly'),
    environment: env,
  }
}

function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}

/** By the XDG specification relative paths are ignored. */
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith('/') ? path : undefined
}
