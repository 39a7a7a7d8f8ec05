import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { libraries, type SystemName } from '../clients/open.ts'
import { findMinio } from '../servers/minio.ts'
import { findOnPath } from '../servers/path.ts'
import { findRedis } from '../servers/redis.ts'
import { serverOf } from '../systems.ts'

const NUMBER = /v?\d+\.\d+\.\d+[\w.-]*/

/** Versions of the servers and libraries that are compared; Mayfly's is the commit. */
export async function versionsOf(systems: readonly SystemName[]): Promise<Record<string, string>> {
  const names = new Set(systems.map((system) => serverOf[system]))
  const versions: Record<string, string> = {}
  if (names.has('redis')) versions.Redis = await versionOf(findRedis(), ['--version'])
  if (names.has('minio')) versions.MinIO = await minioVersion()
  const used = systems.map((system) => libraries[system]).filter((library) => library !== null)
  for (const library of new Set(used)) versions[library] = libraryVersion(library)
  return versions
}

/** A MinIO built by `go install` does not report its version; Go reads it from the binary. */
async function minioVersion(): Promise<string> {
  const file = findMinio()
  const go = findOnPath('go')
  if (file === null || go === null) return await versionOf(file, ['--version'])
  const { stdout } = await promisify(execFile)(go, ['version', '-m', file])
  return NUMBER.exec(stdout.split('\n').find((line) => line.startsWith('\tmod\t')) ?? '')?.[0] ?? 'unknown'
}

async function versionOf(file: string | null, args: readonly string[]): Promise<string> {
  if (file === null) return 'missing'
  const { stdout } = await promisify(execFile)(file, args)
  return NUMBER.exec(stdout)?.[0] ?? 'unknown'
}

/** From the library's package.json, in a folder above the file to which an import resolves. */
function libraryVersion(library: string): string {
  for (
    let folder = new URL('.', import.meta.resolve(library));
    folder.pathname !== '/';
    folder = new URL('..', folder)
  ) {
    const file = new URL('package.json', folder)
    if (!existsSync(file)) continue
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string }
    if (name === library) return version ?? 'unknown'
  }
  return 'unknown'
}
