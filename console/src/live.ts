import { useEffect, useState } from 'preact/hooks'
import type { EventShown, Hello, JobPoint, Sample, Snapshot } from '../../controller/api/console/snapshot.ts'
import { currentSession } from './session.ts'

export interface Live {
  /** Whether the stream is open. */
  readonly isConnected: boolean
  readonly samples: readonly Sample[]
  /** Use and reservation over time, by job. */
  readonly history: ReadonlyMap<string, readonly JobPoint[]>
  /** The newest first. */
  readonly events: readonly EventShown[]
  /** Null until the first snapshot. */
  readonly snapshot: Snapshot | null
}

const SAMPLES_MAX = 300
const JOB_POINTS_MAX = 300
const EVENTS_MAX = 500

const nothing: Live = { isConnected: false, samples: [], history: new Map(), events: [], snapshot: null }

function withHello(live: Live, { samples, jobs, events }: Hello): Live {
  return {
    ...live,
    isConnected: true,
    samples,
    history: new Map(Object.entries(jobs)),
    events: [...events].reverse(),
  }
}

function withSnapshot(live: Live, snapshot: Snapshot): Live {
  const { atMs } = snapshot.sample
  // The stream begins with the last snapshot, whose sample is among those of the hello.
  if (live.samples.at(-1)?.atMs === atMs) return { ...live, snapshot }
  const history = new Map<string, readonly JobPoint[]>()
  for (const { id, used, reserved } of snapshot.jobs) {
    const point: JobPoint = [atMs, used, reserved]
    history.set(id, [...(live.history.get(id) ?? []), point].slice(-JOB_POINTS_MAX))
  }
  return { ...live, snapshot, history, samples: [...live.samples, snapshot.sample].slice(-SAMPLES_MAX) }
}

function withEvent(live: Live, event: EventShown): Live {
  return { ...live, events: [event, ...live.events].slice(0, EVENTS_MAX) }
}

/** The state of the stream. `onOver` is called when the session has ended. */
export function useLive(onOver: () => void): Live {
  const [live, setLive] = useState(nothing)
  useEffect(() => {
    let source: EventSource | null = null
    let again: ReturnType<typeof setTimeout> | undefined
    const open = (): void => {
      source = new EventSource('/console/stream')
      const on = <Data>(type: string, change: (live: Live, data: Data) => Live): void =>
        source?.addEventListener(type, (event) => {
          const data = JSON.parse((event as MessageEvent<string>).data) as Data
          setLive((before) => change(before, data))
        })
      on('hello', withHello)
      on('snapshot', withSnapshot)
      on('event', withEvent)
      source.onerror = () => {
        setLive((before) => ({ ...before, isConnected: false }))
        source?.close()
        again = setTimeout(() => void reopen(), 1_000)
      }
    }
    const reopen = async (): Promise<void> => {
      try {
        if ((await currentSession()) === null) return onOver()
      } catch {
        // The controller is unavailable; the request is retried.
      }
      open()
    }
    open()
    return () => {
      source?.close()
      clearTimeout(again)
    }
  }, [])
  return live
}
