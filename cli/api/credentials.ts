import { resolve } from 'node:path'
import { readFileIfThere } from '../../service/process/private-file.ts'
import type { CliConfig } from '../config.ts'
import { stateFolderAt } from '../up/state-folder.ts'
import type { ClusterFlags } from '../verb.ts'
import { contextNamed, readContexts } from './contexts.ts'
import type { Credentials } from './http.ts'

/** The state folder: --dir, or the user's default. */
export function stateDirOf({ dir }: ClusterFlags, config: CliConfig): string {
  return resolve(dir ?? config.stateDir)
}

/**
 * The cluster that a verb uses: that of --context or --dir, else of MAYFLY_URL and MAYFLY_API_KEY, else of the context in use, else of the
 * credentials that `mayfly up` wrote to its default folder.
 */
export function findCredentials(flags: ClusterFlags, config: CliConfig): Credentials {
  const { caFile } = config
  return { ...(caFile !== undefined && { caFile }), ...storedCredentials(flags, config) }
}

function storedCredentials(flags: ClusterFlags, config: CliConfig): Credentials {
  const { url, apiKey } = config
  if (flags.context !== undefined) return contextNamed(readContexts(config), flags.context)
  if (flags.dir !== undefined) return readCredentials(flags, config)
  if (url !== undefined && apiKey !== undefined) return { url, apiKey }
  if (url !== undefined || apiKey !== undefined) {
    const [missing, other] =
      url === undefined ? ['MAYFLY_URL', 'MAYFLY_API_KEY'] : ['MAYFLY_API_KEY', 'MAYFLY_URL']
    throw new Error(`${missing} is not set, but ${other} is; set both or neither`)
  }
  const contexts = readContexts(config)
  if (contexts.current !== null) return contextNamed(contexts, contexts.current)
  return readCredentials(flags, config)
}

function readCredentials(flags: ClusterFlags, config: CliConfig): Credentials {
  const path = stateFolderAt(stateDirOf(flags, config)).credentialsFile
  const text = readFileIfThere(path)
  if (text === null) {
    throw new Error(
      `no cluster has run here (${path} is missing); start one with \`mayfly up\`, or name one with \`mayfly context add\``,
    )
  }
  const { url, apiKey, caFile } = JSON.parse(text) as Partial<Credentials>
  if (typeof url !== 'string' || typeof apiKey !== 'string') throw new Error(`${path} is damaged; delete it`)
  return { url, apiKey, ...(caFile !== undefined && { caFile }) }
}
