import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readFileIfThere, requirePrivate, writePrivateFile } from '../../service/process/private-file.ts'
import type { CliConfig } from '../config.ts'
import type { Credentials } from './http.ts'

/** Clusters by name, and the one that the verbs use. */
export interface Contexts {
  /** Null if none is in use. */
  readonly current: string | null
  readonly contexts: Readonly<Record<string, Credentials>>
}

function contextsFile({ configDir }: CliConfig): string {
  return join(configDir, 'contexts.json')
}

/** Throws `FORBIDDEN` if other users may read the file, which holds API keys. */
export function readContexts(config: CliConfig): Contexts {
  const path = contextsFile(config)
  const text = readFileIfThere(path)
  if (text === null) return { current: null, contexts: {} }
  requirePrivate(path)
  const contexts = parse(text)
  if (contexts === null) throw new Error(`${path} is damaged; mend or delete it`)
  return contexts
}

export function writeContexts(config: CliConfig, contexts: Contexts): void {
  const path = contextsFile(config)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writePrivateFile(path, `${JSON.stringify(contexts, null, 2)}\n`)
}

/** Throws an error that lists the existing names. */
export function contextNamed(contexts: Contexts, name: string): Credentials {
  const found = Object.hasOwn(contexts.contexts, name) ? contexts.contexts[name] : undefined
  if (found !== undefined) return found
  const names = Object.keys(contexts.contexts)
  const known =
    names.length === 0 ? 'there is none; add one with `mayfly context add`' : `there are ${names.join(', ')}`
  throw new Error(`there is no context '${name}'; ${known}`)
}

function parse(text: string): Contexts | null {
  try {
    const { current, contexts } = JSON.parse(text) as Partial<Contexts>
    if (typeof contexts !== 'object' || contexts === null || current === undefined) return null
    const isWhole = Object.values(contexts).every(
      ({ url, apiKey }) => typeof url === 'string' && typeof apiKey === 'string',
    )
    return isWhole ? { current, contexts } : null
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null
    throw error
  }
}
