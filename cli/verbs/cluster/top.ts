import { isError, type MayflyError } from '../../../protocol/errors.ts'
import { sleep, systemRuntime } from '../../../protocol/runtime.ts'
import { findCredentials } from '../../api/credentials.ts'
import { type ClusterEvent, readEvents } from '../../api/events.ts'
import { type Credentials, request, requestAll } from '../../api/http.ts'
import { interruption } from '../../api/open-job.ts'
import type { ClusterReply, JobReply, NodeReply } from '../../api/replies.ts'
import { painter, type Screen } from '../../terminal/terminal.ts'
import { type Snapshot, topLines, topScreen } from '../../terminal/top-view.ts'
import { type AddVerb, addVerb, type Cli, type ClusterFlags, clusterOptions, onRun } from '../../verb.ts'

/** Nodes report every second. */
const REFRESH_MS = 1_000
/** Events retained for the screen; without a terminal the last few are printed. */
const EVENTS_KEPT = 200
const EVENTS_PRINTED = 10
/** How long to wait for the events that the controller has retained. */
const EVENTS_WAIT_MS = 300

export const top: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'top', {
    summary: 'show live which nodes are full, which jobs fill them, and what the controller did',
    details: 'Takes the whole screen until q or Ctrl-C. Without a terminal it prints once.',
    examples: ['mayfly top', 'mayfly top | head -20'],
  })
  clusterOptions(verb)
  onRun<ClusterFlags>(verb, cli, async (_, flags) => {
    const { terminal } = cli
    const credentials = findCredentials(flags, cli.config)
    // Fails at once where there is no cluster.
    const first = await look(credentials)
    const { signal, release } = interruption()
    const reading = new AbortController()
    const events = new LastEvents(credentials, AbortSignal.any([signal, reading.signal]))
    try {
      if (terminal.screen !== undefined)
        await live(terminal.screen, { first, credentials, events, signal, cli })
      else {
        await sleep(systemRuntime.clock, EVENTS_WAIT_MS)
        const snapshot = { ...first, events: events.last(EVENTS_PRINTED) }
        terminal.print(topLines(snapshot, painter(terminal)).join('\n'))
      }
    } finally {
      reading.abort()
      release()
    }
  })
}

type Looked = Omit<Snapshot, 'events'>

async function look(credentials: Credentials): Promise<Looked> {
  const [cluster, nodes, jobs] = await Promise.all([
    request<ClusterReply>(credentials, { path: '/v1/cluster' }),
    requestAll<NodeReply>(credentials, 'nodes'),
    requestAll<JobReply>(credentials, 'jobs'),
  ])
  return { url: credentials.url, cluster, nodes, jobs }
}

interface Live {
  readonly first: Looked
  readonly credentials: Credentials
  readonly events: LastEvents
  readonly signal: AbortSignal
  readonly cli: Cli
}

async function live(screen: Screen, { first, credentials, events, signal, cli }: Live): Promise<void> {
  const paint = painter(cli.terminal)
  const quit = quitKey()
  const stop = AbortSignal.any([signal, quit.signal])
  try {
    for (let looked: Looked | MayflyError = first; ; looked = await lookAgain(credentials)) {
      screen.draw(
        'code' in looked
          ? [`mayfly: ${looked.message}`, 'Trying again; q quits.']
          : topScreen(
              { ...looked, events: events.last(EVENTS_KEPT) },
              { rows: screen.rows, columns: screen.columns, paint },
            ),
      )
      await sleep(systemRuntime.clock, REFRESH_MS, stop)
      if (stop.aborted) return
    }
  } finally {
    quit.release()
    screen.close()
  }
}

/** The error if the controller does not answer now. */
async function lookAgain(credentials: Credentials): Promise<Looked | MayflyError> {
  try {
    return await look(credentials)
  } catch (error) {
    if (isError(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED')) return error
    throw error
  }
}

const CTRL_C = '\u0003'

/** Aborts at q or Ctrl-C on the keyboard, which in raw mode is no signal. */
function quitKey(): { signal: AbortSignal; release: () => void } {
  const { stdin } = process
  const quit = new AbortController()
  if (!stdin.isTTY) return { signal: quit.signal, release: () => undefined }
  const onData = (keys: Buffer): void => {
    if (['q', CTRL_C].some((key) => keys.includes(key))) quit.abort()
  }
  stdin.setRawMode(true)
  stdin.on('data', onData)
  const release = (): void => {
    stdin.off('data', onData)
    stdin.setRawMode(false)
    stdin.pause()
  }
  return { signal: quit.signal, release }
}

/** The last events of the cluster, as they arrive. */
class LastEvents {
  readonly #events: ClusterEvent[] = []

  constructor(credentials: Credentials, signal: AbortSignal) {
    void this.#read(credentials, signal)
  }

  last(count: number): readonly ClusterEvent[] {
    return this.#events.slice(-count)
  }

  /** If events are unavailable, for example because too many streams are open, the rest is shown. */
  async #read(credentials: Credentials, signal: AbortSignal): Promise<void> {
    try {
      for await (const event of readEvents(credentials, { after: '0', signal })) {
        this.#events.push(event)
        if (this.#events.length > EVENTS_KEPT) this.#events.shift()
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#events.push({ id: '', type: 'events', at: new Date().toISOString(), data: { failed: reason } })
    }
  }
}
