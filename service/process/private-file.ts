import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { MayflyError } from '../../protocol/errors.ts'
import { codeOf } from './system-error.ts'

/** Permission bits of group and others. */
const NOT_OWNER = 0o077
/**
 * Read, and for folders search, permission of the group: how Kubernetes mounts root's Secrets for a process
 * with an `fsGroup`.
 */
const GROUP_READS = 0o050

/**
 * Throws `FORBIDDEN`, naming the path and the command that repairs it, if anybody but its owner may read or
 * change a file or folder. A file of root may be readable by the group of a process that is not root. A
 * missing path passes.
 */
export function requirePrivate(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  const { mode, uid } = found
  const own = process.getuid?.()
  if (own === undefined) return // Windows has no such bits.
  if (own !== 0 && uid !== own && uid !== 0) {
    throw new MayflyError('FORBIDDEN', `${path} belongs to another user (uid ${uid}); change its owner`)
  }
  const allowed = own !== 0 && uid === 0 ? GROUP_READS : 0
  if ((mode & NOT_OWNER & ~allowed) === 0) return
  const fix = found.isDirectory() ? '700' : '600'
  const now = (mode & 0o777).toString(8)
  throw new MayflyError(
    'FORBIDDEN',
    `Other users may read or change ${path} (mode ${now}); run \`chmod ${fix} ${path}\` or name another one`,
  )
}

/** The text of a secret file. Throws `FORBIDDEN` as `requirePrivate` does. */
export function readPrivateFile(path: string): string {
  requirePrivate(path)
  return readFileSync(path, 'utf8')
}

/** Writes a file atomically, readable only by its owner. */
export function writePrivateFile(path: string, text: string): void {
  const fresh = `${path}.new`
  rmSync(fresh, { force: true })
  writeFileSync(fresh, text, { mode: 0o600, flag: 'wx' })
  renameSync(fresh, path)
}

/** The text of a file; null if it does not exist. */
export function readFileIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}
