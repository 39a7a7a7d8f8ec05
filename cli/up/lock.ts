import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { MayflyError } from '../../protocol/errors.ts'
import { readFileIfThere } from '../../service/process/private-file.ts'

/** Attempts while other processes take and release the lock. */
const ATTEMPTS_MAX = 5

/**
 * Locks the state folder for this process, so that no two clusters write to the same files. Returns the function that releases it. The lock
 * is a file with the owner's process id and start time; if the owner was killed, the next process detects that it no longer runs. Throws
 * `UNAVAILABLE`, naming the owner.
 */
export function takeLock(path: string): () => void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const own = `${path}.${process.pid}`
  const content = describeProcess(process.pid)
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    if (createWhole({ path, by: own, content })) return () => rmSync(path, { force: true })
    const found = readFileIfThere(path)
    if (found === null) continue
    if (isAlive(found)) {
      throw new MayflyError(
        'UNAVAILABLE',
        `Process ${Number.parseInt(found, 10)} runs a cluster in ${dirname(path)}; stop it or choose another --dir`,
      )
    }
    removeStale({ path, by: own, content: found })
  }
  throw new MayflyError('UNAVAILABLE', `Other processes are taking ${path} at this moment`)
}

interface Take {
  readonly path: string
  /** A file name that only this process uses. */
  readonly by: string
  readonly content: string
}

/** A hard link appears with its content or not at all, so no process reads a partial lock. False if the lock exists. */
function createWhole({ path, by, content }: Take): boolean {
  writeFileSync(by, content, { mode: 0o600 })
  try {
    linkSync(by, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(by, { force: true })
  }
}

/** If another process has replaced the stale lock since it was read, its lock is put back. */
function removeStale({ path, by, content }: Take): void {
  try {
    renameSync(path, by)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (readFileSync(by, 'utf8') === content) rmSync(by)
  else renameSync(by, path)
}

function isAlive(content: string): boolean {
  const pid = Number.parseInt(content, 10)
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' && describeProcess(pid) === content
  }
  return describeProcess(pid) === content
}

/**
 * `pid start`. Process ids are reused; on Linux the start time, in clock ticks since boot, tells processes with one id apart. It is field
 * 22 of /proc/PID/stat; field 2, in parentheses, may contain spaces.
 */
function describeProcess(pid: number): string {
  const stat = readFileIfThere(`/proc/${pid}/stat`)
  const started = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown'
  return `${pid} ${started}\n`
}
