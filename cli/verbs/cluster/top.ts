import { isError } from '../../../protocol/errors.ts'
import { sleep, systemRuntime, type Timer } from '../../../protocol/runtime.ts'
import { findCredentials } from '../../api/credentials.ts'
import { type ClusterEvent, readEvents } from '../../api/events.ts'
import { type Credentials, request, requestAll } from '../../api/http.ts'
import { interruption } from '../../api/open-job.ts'
import type { ClusterReply, JobReply, NodeReply } from '../../api/replies.ts'
import { painter, type Screen } from '../../terminal/terminal.ts'
import { type Snapshot, topLines, topScreen } from '../../terminal/top-view.ts'
import { type AddVerb, addVerb, type ClusterFlags, clusterOptions, onRun } from '../../verb.ts'

/** Nodes report every second. */
const REFRESH_MS = 1_000
/** Events that are kept for the screen; without one the last few are printed. */
const EVENTS_KEPT = 200
const EVENTS_PRINTED = 10
/** The controller sends the events that it keeps at once. */
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
      if (terminal.screen !== undefined) await live(terminal.screen, { credentials, events, signal, cli })
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

async function live(
  screen: Screen,
  {
    credentials,
    events,
    signal,
    cli,
  }: { credentials: Credentials; events: LastEvents; signal: AbortSignal; cli: Parameters<AddVerb>[1] },
): Promise<void> {
  const paint = painter(cli.terminal)
  const quit = quitKey()
  const pause = new Pause()
  try {
    while (!signal.aborted && !quit.pressed()) {
      const lines = await look(credentials).then(
        (looked) =>
          topScreen(
            { ...looked, events: events.last(EVENTS_KEPT) },
            { rows: screen.rows, columns: screen.columns, paint },
          ),
        (error: unknown) => {
          if (isError(error, 'UNAVAILABLE', 'DEADLINE_EXCEEDED'))
            return [`mayfly: ${error.message}`, 'Trying again; q quits.']
          throw error
        },
      )
      screen.draw(lines)
      await Promise.race([pause.start(), quit.wait, aborted(signal)])
      pause.cancel()
    }
  } finally {
    quit.release()
    screen.close()
  }
}

/** A pause that ends early, so that it does not keep the process. */
class Pause {
  #timer: Timer | null = null

  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#timer = systemRuntime.clock.after(REFRESH_MS, resolve)
    })
  }

  cancel(): void {
    this.#timer?.cancel()
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

const CTRL_C = '\u0003'

/** Waits for q or Ctrl-C on the keyboard, which in raw mode is no signal. */
function quitKey(): { wait: Promise<void>; pressed: () => boolean; release: () => void } {
  const { stdin } = process
  let isPressed = false
  let release = (): void => undefined
  const wait = new Promise<void>((resolve) => {
    if (!stdin.isTTY) return
    const onData = (keys: Buffer): void => {
      if (!['q', CTRL_C].some((key) => keys.includes(key))) return
      isPressed = true
      resolve()
    }
    stdin.setRawMode(true)
    stdin.on('data', onData)
    release = () => {
      stdin.off('data', onData)
      stdin.setRawMode(false)
      stdin.pause()
    }
  })
  return { wait, pressed: () => isPressed, release: () => release() }
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

  /** Without events, as where too many streams are open, the rest is shown. */
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
