import { readFile } from 'node:fs/promises'

/** The kernel reports CPU time in hundredths of a second (`USER_HZ`, proc(5)). */
const TICKS_PER_SECOND = 100

/** CPU time of the processes so far, user and kernel. A process that has exited counts 0. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  const seconds = await Promise.all(
    pids.map(async (pid) => {
      // The second field, the name, may contain any character, so fields are counted from its closing parenthesis.
      const stat = (await read(pid, 'stat')).split(') ').at(-1) ?? ''
      const [utime = 0, stime = 0] = stat.split(' ').slice(11, 13).map(Number)
      return (utime + stime) / TICKS_PER_SECOND
    }),
  )
  return seconds.reduce((sum, each) => sum + each, 0)
}

/** Resident set size of the processes together. */
export async function residentBytes(pids: readonly number[]): Promise<number> {
  const bytes = await Promise.all(
    pids.map(async (pid) => 1024 * Number(/VmRSS:\s+(\d+) kB/.exec(await read(pid, 'status'))?.[1] ?? 0)),
  )
  return bytes.reduce((sum, each) => sum + each, 0)
}

/** A process and all of its descendants. */
export async function processTree(pid: number): Promise<number[]> {
  const children = (await read(pid, `task/${pid}/children`)).split(' ').filter(Boolean).map(Number)
  return [pid, ...(await Promise.all(children.map(processTree))).flat()]
}

/** Empty if the process has exited. */
async function read(pid: number, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return ''
    throw error
  }
}
