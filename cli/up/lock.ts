import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { MayflyError } from '../../protocol/errors.ts'
import { readFileIfThere } from './state-folder.ts'

/** Attempts at a lock that others take and leave at the same moment. */
const ATTEMPTS_MAX = 5

/**
 * Takes the state folder for this process, so that two clusters never write to the same files, and returns what
 * gives it back. The lock is a file with the owner's process id and start time: an owner that was killed leaves
 * the file, and the next one sees that no such process lives any more. Throws `UNAVAILABLE`, naming the owner.
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
  /** A name that only this process uses. */
  readonly by: string
  readonly content: string
}

/** A link appears with its content or not at all, so nobody ever reads half a lock. False if there is one. */
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

/** Another process may have replaced the stale lock by its own since it was read: then that one is put back. */
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
 * `pid start`. Process ids are used again, so on Linux the start time, in clock ticks since boot, tells one process
 * from a later one with its id. It is the 22nd field of /proc/PID/stat; the 2nd, in parentheses, may hold spaces.
 */
function describeProcess(pid: number): string {
  const stat = readFileIfThere(`/proc/${pid}/stat`)
  const started = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown'
  return `${pid} ${started}\n`
}
