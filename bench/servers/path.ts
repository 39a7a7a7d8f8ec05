import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

/** Path of the program, found as a shell would; null if there is none. */
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

/** The folder in which peers are installed for this user, outside the repository. */
export function cacheDir(env: NodeJS.ProcessEnv): string {
  const home = env.XDG_CACHE_HOME
  // The XDG specification says that relative paths are ignored.
  const base = home?.startsWith('/') ? home : join(env.HOME ?? homedir(), '.cache')
  return join(base, 'mayfly')
}
