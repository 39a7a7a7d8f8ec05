import { MayflyError } from '../../protocol/errors.ts'
import { type Environment, readText } from '../process/environment.ts'
import { readPrivateFile } from '../process/private-file.ts'

/** Where a process stores its decisions. */
export type StateAt =
  | { readonly kind: 'sqlite'; readonly dir: string }
  /** `url` may hold a password. */
  | { readonly kind: 'postgres'; readonly url: string }

/**
 * PostgreSQL, if MAYFLY_DATABASE_FILE names a file with its URL or MAYFLY_DATABASE_URL is one; else the folder MAYFLY_DIR. Throws
 * `BAD_REQUEST`.
 */
export function readState(env: Environment): StateAt {
  const path = env.MAYFLY_DATABASE_FILE
  if (path) return { kind: 'postgres', url: checkUrl(readPrivateFile(path).trim(), path) }
  const url = env.MAYFLY_DATABASE_URL
  if (url) return { kind: 'postgres', url: checkUrl(url, 'MAYFLY_DATABASE_URL') }
  return { kind: 'sqlite', dir: readText(env, 'MAYFLY_DIR') }
}

function checkUrl(url: string, where: string): string {
  if (/^postgres(ql)?:\/\/\S+$/.test(url)) return url
  throw new MayflyError(
    'BAD_REQUEST',
    `${where} does not hold a URL like postgres://user:password@host/database`,
  )
}
