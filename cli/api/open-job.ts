import type { Command } from 'commander'
import { type Job, openJob } from '../../client/index.ts'
import { noTicket } from '../../client/registration.ts'
import { isError } from '../../protocol/errors.ts'
import { caIn } from '../../protocol/transport/tls.ts'
import { codeOf } from '../../service/process/system-error.ts'
import { type Cli, type ClusterFlags, clusterOptions, jobText, onRun } from '../verb.ts'
import { findCredentials } from './credentials.ts'
import { requestJob } from './http.ts'
import type { JobReply } from './replies.ts'

export interface JobFlags extends ClusterFlags {
  readonly bucket?: string
}

/** What a verb about the objects of a job gets. */
export interface Use<Flags> {
  readonly job: Job
  /** The words after JOB. */
  readonly words: readonly string[]
  readonly flags: Flags
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal
}

const withTicket =
  'MAYFLY_TICKET is set: it names the job, and JOB is left out. `unset MAYFLY_TICKET` to name one.'

/** Verbs whose JOB is left out. */
const ticketVerbs = new WeakSet<Command>()

/** What a user of the verb has to know about its words. */
export function noteOf(verb: Command): string | undefined {
  return ticketVerbs.has(verb) ? withTicket : undefined
}

/** Adds the argument JOB, and the options of verbs about the objects of a job. With MAYFLY_TICKET there is no JOB. */
export function jobArgument(verb: Command, { config }: Cli): Command {
  if (config.ticket === undefined) verb.argument('<job>', `${jobText}; without it where MAYFLY_TICKET is set`)
  else {
    verb.addHelpText('after', `\n${withTicket}`)
    ticketVerbs.add(verb)
  }
  return verb
}

export function bucketOption(verb: Command): Command {
  return verb.option('-b, --bucket <name>', 'a bucket of the job (default: "default")')
}

/** Runs `use` with the job that the first word, or MAYFLY_TICKET, names. */
export function onJob<Flags extends ClusterFlags>(
  verb: Command,
  cli: Cli,
  use: (input: Use<Flags>) => Promise<number | undefined> | Promise<void>,
): void {
  clusterOptions(verb)
  onRun<Flags>(verb, cli, async (all, flags) => {
    const { ticket } = cli.config
    const words = ticket === undefined ? all.slice(1) : all
    const job = await (ticket === undefined ? jobNamed(cli, flags, all[0] as string) : openJob(ticket))
    const { signal, release } = interruption()
    try {
      return (await use({ job, words, flags, signal })) ?? 0
    } catch (error) {
      const isNotThere = isError(error, 'NOT_FOUND') || codeOf(error) === 'ENOENT'
      if (ticket !== undefined && isNotThere) cli.terminal.printError(`mayfly: ${withTicket}`)
      throw error
    } finally {
      release()
      await job.close()
    }
  })
}

async function jobNamed({ config }: Cli, flags: ClusterFlags, name: string): Promise<Job> {
  const credentials = findCredentials(flags, config)
  const { id, state, ticket } = await requestJob<JobReply>(credentials, name, {})
  if (ticket === undefined) throw noTicket(id, state)
  return await openJob(ticket, { ca: caIn(credentials.caFile)() ?? undefined })
}

/** Until `release`, the first Ctrl-C aborts the signal; a second one ends the process. */
export function interruption(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController()
  const signals = ['SIGINT', 'SIGTERM'] as const
  const abort = (): void => {
    release()
    controller.abort()
  }
  const release = (): void => {
    for (const name of signals) process.off(name, abort)
  }
  for (const name of signals) process.on(name, abort)
  return { signal: controller.signal, release }
}

/** The bucket of --bucket, as an option of SDK calls. */
export function bucketOf({ bucket }: JobFlags): { bucket?: string } {
  return bucket === undefined ? {} : { bucket }
}
