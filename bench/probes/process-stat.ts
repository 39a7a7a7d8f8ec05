import { readFile } from 'node:fs/promises'

/** The kernel counts CPU time in hundredths of a second for whoever reads it (`USER_HZ`, proc(5)). */
const TICKS_PER_SECOND = 100

/** What the processes have computed so far, in user space and in the kernel. A process that has ended counts 0. */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  const seconds = await Promise.all(
    pids.map(async (pid) => {
      // The name, the second field, may hold anything, so fields are counted from the parenthesis that closes it.
      const stat = (await read(pid, 'stat')).split(') ').at(-1) ?? ''
      const [utime = 0, stime = 0] = stat.split(' ').slice(11, 13).map(Number)
      return (utime + stime) / TICKS_PER_SECOND
    }),
  )
  return seconds.reduce((sum, each) => sum + each, 0)
}

/** What the processes have in RAM. */
export async function residentBytes(pids: readonly number[]): Promise<number> {
  const bytes = await Promise.all(
    pids.map(async (pid) => 1024 * Number(/VmRSS:\s+(\d+) kB/.exec(await read(pid, 'status'))?.[1] ?? 0)),
  )
  return bytes.reduce((sum, each) => sum + each, 0)
}

/** A process and whatever it has started. */
export async function processTree(pid: number): Promise<number[]> {
  const children = (await read(pid, `task/${pid}/children`)).split(' ').filter(Boolean).map(Number)
  return [pid, ...(await Promise.all(children.map(processTree))).flat()]
}

/** Empty where the process has ended. */
async function read(pid: number, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return ''
    throw error
  }
}
