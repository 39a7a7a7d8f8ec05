import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { colour, type Theme } from './theme.ts'

interface Series {
  readonly label: string
  /** A colour of style.css. */
  readonly colour: string
  readonly values: readonly (number | null)[]
  readonly isFilled?: boolean
  readonly isDashed?: boolean
}

interface PlotProps {
  readonly title: string
  /** Milliseconds since the Unix epoch. */
  readonly times: readonly number[]
  readonly series: readonly Series[]
  readonly format: (value: number) => string
  /** Ticks are then at powers of two. */
  readonly isBytes?: boolean
  readonly theme: Theme
}

const HEIGHT = 150
const SPAN_SECONDS = 600
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, power) => 2 ** power)

/** Lines over time. A screen reader gets the newest values. */
export function Plot({ title, times, series, format, isBytes = false, theme }: PlotProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const data: uPlot.AlignedData = [
    times.map((atMs) => atMs / 1000),
    ...series.map(({ values }) => [...values]),
  ]

  useEffect(() => {
    const element = box.current
    if (element === null) return
    const made = new uPlot(optionsOf(series, { format, isBytes, width: element.clientWidth }), data, element)
    plot.current = made
    const resizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    resizes.observe(element)
    return () => {
      resizes.disconnect()
      made.destroy()
    }
  }, [theme])
  useEffect(() => plot.current?.setData(data), [times])

  const newest = series.map(({ label, values }) => {
    const value = values.at(-1)
    return { label, text: value === null || value === undefined ? '–' : format(value) }
  })
  return (
    <section class="panel plot">
      <h2>{title}</h2>
      <p class="legend">
        {newest.map(({ label, text }, index) => (
          <span key={label}>
            <i class={`swatch ${series[index]?.colour}`} />
            {label} <b>{text}</b>
          </span>
        ))}
      </p>
      <div
        ref={box}
        class="canvas"
        role="img"
        aria-label={`${title} over the last ten minutes. Now: ${newest.map(({ label, text }) => `${label} ${text}`).join(', ')}`}
      />
    </section>
  )
}

function optionsOf(
  series: readonly Series[],
  { format, isBytes, width }: { format: (value: number) => string; isBytes: boolean; width: number },
): uPlot.Options {
  const axis = {
    stroke: colour('muted'),
    grid: { stroke: colour('grid'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  }
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    padding: [8, 8, 0, 0],
    axes: [
      {
        ...axis,
        size: 24,
        values: (_plot, ticks) => ticks.map((at) => new Date(at * 1000).toTimeString().slice(0, 5)),
      },
      {
        ...axis,
        size: 62,
        values: (_plot, ticks) => ticks.map(format),
        ...(isBytes && { incrs: POWERS_OF_TWO }),
      },
    ],
    scales: {
      x: { range: (_plot, _min, max) => [max - SPAN_SECONDS, max] },
      y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] },
    },
    series: [
      {},
      ...series.map((each) => ({
        label: each.label,
        stroke: colour(each.colour),
        width: 1.5,
        spanGaps: false,
        points: { show: false },
        ...(each.isFilled === true && { fill: `${colour(each.colour)}33` }),
        ...(each.isDashed === true && { dash: [4, 4] }),
      })),
    ],
  }
}
