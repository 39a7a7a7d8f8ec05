import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** The program's file, as a shell would find it; null where there is none. */
export function findOnPath(program: string, path = process.env.PATH ?? ''): string | null {
  const files = path.split(delimiter).map((dir) => join(dir, program))
  return files.find(isExecutable) ?? null
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Where peers are installed for this user, outside the repository. */
export function cacheDir(env: NodeJS.ProcessEnv): string {
  const home = env.XDG_CACHE_HOME
  // The XDG specification has relative paths ignored.
  const base = home?.startsWith('/') ? home : join(env.HOME ?? homedir(), '.cache')
  return join(base, 'mayfly')
}
