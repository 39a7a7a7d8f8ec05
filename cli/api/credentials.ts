import { resolve } from 'node:path'
import type { Arguments } from '../arguments.ts'
import type { CliConfig } from '../config.ts'
import { readFileIfThere, stateFolderAt } from '../up/state-folder.ts'
import type { Credentials } from './http.ts'

/** The option of every verb that talks to a cluster: the state folder. */
export const dirOption = { dir: 'text' } as const

/** The state folder: --dir, or the user's default. */
export function stateDirOf(args: Arguments, config: CliConfig): string {
  return resolve(args.text('dir') ?? config.stateDir)
}

/** The cluster that a verb talks to: MAYFLY_URL and MAYFLY_API_KEY, or the credentials that `mayfly up` wrote to its folder. */
export function findCredentials(args: Arguments, config: CliConfig): Credentials {
  const { url, apiKey } = config
  if (url !== undefined && apiKey !== undefined) return { url, apiKey }
  if (url !== undefined || apiKey !== undefined) {
    throw new Error(
      `${url === undefined ? 'MAYFLY_URL' : 'MAYFLY_API_KEY'} is not set, but the other of the two is`,
    )
  }
  return readCredentials(stateFolderAt(stateDirOf(args, config)).credentialsFile)
}

function readCredentials(path: string): Credentials {
  const text = readFileIfThere(path)
  if (text === null) {
    throw new Error(`no cluster has run here (${path} is missing); start one with \`mayfly up\``)
  }
  const { url, apiKey } = JSON.parse(text) as Partial<Credentials>
  if (typeof url !== 'string' || typeof apiKey !== 'string') throw new Error(`${path} is damaged; delete it`)
  return { url, apiKey }
}
