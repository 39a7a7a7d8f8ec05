import { useMemo, useState } from 'preact/hooks'
import { Events } from './events.tsx'
import { formatBytes, formatCount, formatNumber } from './format.ts'
import { Jobs } from './jobs.tsx'
import { useLive } from './live.ts'
import { Nodes } from './nodes.tsx'
import { Plot } from './plot.tsx'
import type { Caller } from './session.ts'
import { Headline, Tiles } from './summary.tsx'
import { useTheme } from './theme.ts'

interface DashboardProps {
  readonly caller: Caller
  /** The session has ended. */
  readonly onOver: () => void
  readonly onLogout: () => void
}

export function Dashboard({ caller, onOver, onLogout }: DashboardProps) {
  const [theme, toggleTheme] = useTheme()
  const [chosen, setChosen] = useState<string | null>(null)
  const { isConnected, samples, snapshot, history, events } = useLive(onOver)
  const times = useMemo(() => samples.map(({ atMs }) => atMs), [samples])
  const choose = (id: string): void => setChosen(id === chosen ? null : id)
  const of = (read: (sample: (typeof samples)[number]) => number | null) => samples.map(read)
  return (
    <>
      <a class="skip" href="#main">
        Skip to the cluster
      </a>
      <header>
        <h1>Mayfly</h1>
        <span class={`status ${isConnected ? 'live' : 'away'}`} role="status">
          {isConnected ? 'live' : 'the controller does not answer'}
        </span>
        <span class="right muted">
          {caller.name} ({caller.role})
        </span>
        <button type="button" onClick={toggleTheme}>
          {theme === 'dark' ? 'Light' : 'Dark'}
        </button>
        <button type="button" onClick={onLogout}>
          Log out
        </button>
      </header>
      {snapshot === null ? (
        <main id="main" class="empty">
          Waiting for the first figures…
        </main>
      ) : (
        <main id="main">
          <Headline snapshot={snapshot} events={events} />
          <Tiles snapshot={snapshot} />
          <div class="plots">
            <Plot
              title="Throughput"
              {...{ times, theme }}
              isBytes
              format={(value) => `${formatBytes(value)}/s`}
              series={[
                {
                  label: 'used',
                  colour: 'used',
                  isFilled: true,
                  values: of((sample) => sample.bytesPerSecond.used),
                },
                {
                  label: 'reserved',
                  colour: 'reserved',
                  isDashed: true,
                  values: of((sample) => sample.bytesPerSecond.reserved),
                },
              ]}
            />
            <Plot
              title="Calls"
              {...{ times, theme }}
              format={(value) => `${formatCount(value)}/s`}
              series={[
                {
                  label: 'all',
                  colour: 'used',
                  isFilled: true,
                  values: of((sample) => sample.callsPerSecond),
                },
                { label: 'failed', colour: 'bad', values: of((sample) => sample.errorsPerSecond) },
              ]}
            />
            <Plot
              title="Latency in the nodes"
              {...{ times, theme }}
              format={(value) => `${formatNumber(value)} ms`}
              series={[
                { label: 'p50', colour: 'used', values: of((sample) => sample.p50Ms) },
                { label: 'p99', colour: 'warn', values: of((sample) => sample.p99Ms) },
              ]}
            />
            <Plot
              title="RAM"
              {...{ times, theme }}
              isBytes
              format={formatBytes}
              series={[
                { label: 'used', colour: 'used', isFilled: true, values: of((sample) => sample.ram.used) },
                {
                  label: 'reserved',
                  colour: 'reserved',
                  isDashed: true,
                  values: of((sample) => sample.ram.reserved),
                },
                { label: 'capacity', colour: 'muted', values: of((sample) => sample.ram.capacity) },
              ]}
            />
          </div>
          <div class="columns">
            <div>
              <Jobs {...{ snapshot, history, chosen }} onChoose={choose} />
              <Nodes {...{ snapshot, chosen }} onChoose={choose} />
            </div>
            <Events {...{ events, chosen }} onClear={() => setChosen(null)} />
          </div>
          <p class="muted small">
            Redis would need, for each job, whole machines of class {snapshot.sample.cost.redisClass} with RAM
            for every byte and the throughput that the job reserves.
          </p>
        </main>
      )}
    </>
  )
}
