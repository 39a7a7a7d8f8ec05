import { readFile } from 'node:fs/promises'
import { nowMs } from './shared-clock.ts'

/** The kernel reports times in hundredths of a second (`USER_HZ`, proc(5)). */
const TICKS_PER_SECOND = 100

/** CPU time of the processes so far, user and kernel. A process that has exited counts 0. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  const seconds = await Promise.all(
    pids.map(async (pid) => {
      const [utime = 0, stime = 0] = (await statOf(pid)).slice(11, 13).map(Number)
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

/** The first of the processes that has the variable `NAME=value`; null if none has, or may be read. */
export async function pidWith(variable: string, pids: readonly number[]): Promise<number | null> {
  for (const pid of pids) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (environment.split('\0').includes(variable)) return pid
  }
  return null
}

/** When a process was started, ms since the Unix epoch, to 10 ms. */
export async function startedMs(pid: number): Promise<number> {
  const ticks = Number((await statOf(pid))[19])
  const [uptime = ''] = (await readFile('/proc/uptime', 'utf8')).split(' ')
  return nowMs() - (Number(uptime) - ticks / TICKS_PER_SECOND) * 1000
}

/** The fields of proc_pid_stat(5) from the third on. The second, the name, may contain any character, so they are counted from its closing parenthesis. */
async function statOf(pid: number): Promise<string[]> {
  return (await read(pid, 'stat')).split(') ').at(-1)?.split(' ') ?? []
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
