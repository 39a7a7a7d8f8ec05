import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readFileIfThere, requirePrivate, writePrivateFile } from '../../service/process/private-file.ts'

/** Paths of the state of one cluster. */
export interface StateFolder {
  readonly dir: string
  readonly secretFile: string
  readonly apiKeyFile: string
  readonly credentialsFile: string
  readonly clusterFile: string
  readonly s3File: string
  readonly databaseFile: string
  readonly lockFile: string
  readonly logsDir: string
  readonly ssdDir: string
  readonly controllerDir: string
}

/** Paths of the state of one metadata server, below the cluster's. */
export interface MetadataFolder {
  readonly id: string
  /** Also the name of its log. */
  readonly name: string
  readonly dir: string
  readonly portFile: string
}

/** The paths below `dir`. No I/O. */
export function stateFolderAt(dir: string): StateFolder {
  return {
    dir,
    secretFile: join(dir, 'cluster-secret'),
    apiKeyFile: join(dir, 'api-key'),
    credentialsFile: join(dir, 'credentials.json'),
    clusterFile: join(dir, 'cluster.json'),
    s3File: join(dir, 's3.json'),
    databaseFile: join(dir, 'database-url'),
    lockFile: join(dir, 'lock'),
    logsDir: join(dir, 'logs'),
    ssdDir: join(dir, 'ssd'),
    controllerDir: join(dir, 'controller'),
  }
}

/** Metadata servers are numbered from 1. No I/O. */
export function metadataFolderAt(dir: string, number: number): MetadataFolder {
  const name = `metadata-${number}`
  return { id: `m-${number}`, name, dir: join(dir, name), portFile: join(dir, name, 'port') }
}

/** Numbers of the metadata servers with a state folder. */
export function metadataNumbers(dir: string): number[] {
  return readdirSync(dir).flatMap((name) => {
    const number = /^metadata-([1-9]\d*)$/.exec(name)?.[1]
    return number === undefined ? [] : [Number(number)]
  })
}

export function prepareMetadataFolder({ dir }: MetadataFolder): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
}

/**
 * Throws `FORBIDDEN` if other users may read or change the folder, a secret, a key or a state file: the secret allows to issue tickets, the
 * API key to end every job. Called before anything is written.
 */
export function requirePrivateState(folder: StateFolder): void {
  const { dir, secretFile, apiKeyFile, credentialsFile, clusterFile, s3File, databaseFile } = folder
  const secrets = [secretFile, apiKeyFile, credentialsFile, clusterFile, s3File, databaseFile]
  for (const path of [dir, ...secrets]) requirePrivate(path)
}

/**
 * Creates what is missing, with the lock held. Secret and key survive restarts. Logs of the last run and SSD data of its nodes are removed,
 * which bounds them.
 */
export function prepareStateFolder(folder: StateFolder): { apiKey: string } {
  mkdirSync(folder.controllerDir, { recursive: true, mode: 0o700 })
  for (const dir of [folder.logsDir, folder.ssdDir]) rmSync(dir, { recursive: true, force: true })
  mkdirSync(folder.logsDir, { mode: 0o700 })
  keepSecret(folder.secretFile, () => randomBytes(32).toString('hex'))
  return { apiKey: keepSecret(folder.apiKeyFile, () => randomBytes(32).toString('base64url')) }
}

function keepSecret(path: string, make: () => string): string {
  const stored = readFileIfThere(path)?.trim()
  if (stored !== undefined && stored !== '') return stored
  const made = make()
  writePrivateFile(path, `${made}\n`)
  return made
}
