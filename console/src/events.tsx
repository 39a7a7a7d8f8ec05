import type { EventShown } from '../../controller/api/console/snapshot.ts'
import { describeEvent, isAbout } from './event-text.ts'
import { formatTime } from './format.ts'

interface EventsProps {
  /** The newest first. */
  readonly events: readonly EventShown[]
  /** If set, only events of this node or job are shown. */
  readonly chosen: string | null
  readonly onClear: () => void
}

const SHOWN_MAX = 100

/** The list of events with their reasons. */
export function Events({ events, chosen, onClear }: EventsProps) {
  const shown = events.filter((event) => chosen === null || isAbout(event, chosen)).slice(0, SHOWN_MAX)
  return (
    <section class="panel events" aria-labelledby="events-title">
      <h2 id="events-title">Events</h2>
      {chosen !== null && (
        <p class="filter">
          Only about {chosen}{' '}
          <button type="button" class="link" onClick={onClear}>
            show all
          </button>
        </p>
      )}
      {shown.length === 0 && <p class="empty">Nothing has happened yet.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached by keyboard. */}
      <div class="log" role="log" aria-label="Events, the newest first" tabIndex={0}>
        <ol>
          {shown.map((event) => {
            const { kind, text, reason } = describeEvent(event)
            const subject = event.data.node ?? event.data.job
            return (
              <li key={event.id} class={kind}>
                <time dateTime={new Date(event.atMs).toISOString()}>{formatTime(event.atMs)}</time>
                <div>
                  {text}
                  {subject !== undefined && (
                    <span class="muted small subject"> {String(subject).slice(0, 12)}</span>
                  )}
                  {reason !== '' && <div class="reason">{reason}</div>}
                </div>
              </li>
            )
          })}
        </ol>
      </div>
    </section>
  )
}
