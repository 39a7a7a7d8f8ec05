import cluster from 'node:cluster'
import { asMayflyError } from '../../protocol/errors.ts'
import { PROCESS_STOP_MS_MAX } from '../../protocol/limits.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import { SpanExporter } from '../tracing/span-exporter.ts'
import { Tracing } from '../tracing/tracing.ts'
import { Background, mustEndProcess } from './background.ts'
import { collectWhenIdle } from './idle-collection.ts'
import { createLog, type Logger, type LogName } from './log.ts'
import { tellSupervisor } from './supervision.ts'

/** What all server processes have. */
interface CommonConfig {
  /** The controller has none. */
  readonly id?: string
  readonly logLevel: string
  readonly tracesUrl: string | null
  readonly network: { readonly isExposed: boolean; readonly listen: { readonly host: string } }
}

interface Around {
  readonly log: Logger
  readonly background: Background
  /** Null if no spans are recorded. */
  readonly tracing: Tracing | null
}

/** A running server process. */
export interface Service {
  /** The address that it serves on. */
  readonly address: string
  /**
   * Hands over what others depend on, while it serves on. Resolves when nothing is left, or soon after `hurry` is aborted. Missing if there is
   * nothing to hand over.
   */
  drain?(hurry: AbortSignal): Promise<void>
  /** Finishes the work under way and frees every resource. */
  stop(): Promise<void>
}

/**
 * Runs a server process: tells the supervisor when it serves. On SIGTERM and SIGINT it drains the service, which a second signal cuts short, and stops it;
 * when the supervisor has exited it stops it at once. Exits with code 1, after
 * one line with the reason, if the process cannot start, and for the errors that `mustEndProcess` lists. Any other unhandled error is logged, and the process
 * continues, because its data matters more.
 */
export async function runService<Config extends CommonConfig>(
  name: LogName,
  plane: {
    readConfig: () => Config
    start: (config: Config, around: Around) => Promise<Service>
  },
): Promise<void> {
  // Only the process's user may read what it writes (SQLite files, segments, persisted objects).
  process.umask(0o077)
  let log = createLog(name, 'info')
  const die = (error: unknown): never => {
    const { message, reason } = asMayflyError(error)
    log.fatal({ err: error }, message)
    if (cluster.isWorker) tellSupervisor({ type: 'failed', reason })
    process.exit(1)
  }
  let exporter: SpanExporter | null = null
  let started = false
  const escaped = (error: unknown): void => {
    if (!started || mustEndProcess(error)) die(error)
    log.error({ err: error }, 'an unhandled error; the process continues')
  }
  // Until the plane serves, there is nothing to finish. The supervisor may have disconnected before this line, while modules were loading.
  let onOrphaned = (): void => process.exit(1)
  process.on('disconnect', () => onOrphaned())
  if (process.connected === false) onOrphaned()
  process.on('uncaughtException', escaped)
  process.on('unhandledRejection', escaped)
  const service = await begin().catch(die)
  started = true
  const hurry = new AbortController()
  let draining: Promise<void> | null = null
  let stopping = false
  const drain = async (reason: string): Promise<void> => {
    if (draining !== null) hurry.abort()
    else if (service.drain !== undefined)
      log.info({ reason }, 'draining; a second signal ends the process at once')
    draining ??= service.drain?.(hurry.signal) ?? Promise.resolve()
    await draining
    await stop(reason)
  }
  const stop = async (reason: string): Promise<void> => {
    if (stopping) return
    stopping = true
    log.info({ reason }, 'stopping')
    setTimeout(() => process.exit(1), PROCESS_STOP_MS_MAX).unref()
    await service.stop()
    await exporter?.stop()
    process.exit(0)
  }
  process.on('SIGTERM', () => void drain('SIGTERM').catch(die))
  // Ctrl-C reaches the whole process group. The supervisor decides the order in which its children stop.
  if (process.connected) process.on('SIGINT', () => log.debug("SIGINT is the supervisor's"))
  else process.on('SIGINT', () => void drain('SIGINT').catch(die))
  onOrphaned = () => void stop('the supervisor is gone').catch(die)
  log.info({ address: service.address }, 'ready')
  tellSupervisor({ type: 'ready', address: service.address })
  collectWhenIdle(systemRuntime.clock)

  async function begin(): Promise<Service> {
    const config = plane.readConfig()
    log = createLog(name, config.logLevel)
    if (config.network.isExposed)
      log.warn(
        { host: config.network.listen.host },
        'other machines can connect, and object bytes and API keys are not encrypted',
      )
    const background = new Background({ runtime: systemRuntime, log })
    const { id = name, tracesUrl: url } = config
    const { clock } = systemRuntime
    if (url !== null)
      exporter = new SpanExporter({ url, service: `mayfly-${name}`, instance: id, clock, background })
    const tracing = exporter === null ? null : new Tracing(exporter)
    return await plane.start(config, { log, background, tracing })
  }
}
