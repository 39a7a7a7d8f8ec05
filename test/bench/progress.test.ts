import { expect, test } from 'vitest'
import { Progress } from '../../bench/report/progress.ts'

function start({ isTTY }: { isTTY: boolean }) {
  let text = ''
  let nowMs = 0
  const shown = { isTTY, write: (piece: string) => (text += piece) }
  const progress = new Progress('ops', shown, () => nowMs)
  return { progress, text: () => text, wait: (ms: number) => (nowMs += ms) }
}

test('on a terminal a bar below the lines shows how much of a suite is done, and how long the rest takes', () => {
  const { progress, text, wait } = start({ isTTY: true })
  progress.advance(0)
  wait(30_000)
  progress.advance(0.25)
  expect(text()).toBe(
    `\r\u001b[Kops ${'░'.repeat(24)} 0 %\r\u001b[Kops ${'█'.repeat(6)}${'░'.repeat(18)} 25 %  90 s left`,
  )
})

test('a line goes above the bar, and the end of the suite removes the bar', () => {
  const { progress, text } = start({ isTTY: true })
  progress.say('1 KiB put at 1')
  progress.advance(1)
  progress.say('1 KiB get at 1')
  progress.end()
  progress.say('written')
  const bar = `ops ${'█'.repeat(24)} 100 %  0 s left`
  expect(text()).toBe(`1 KiB put at 1\n\r\u001b[K${bar}\r\u001b[K1 KiB get at 1\n${bar}\r\u001b[Kwritten\n`)
})

test('a file gets the lines alone', () => {
  const { progress, text } = start({ isTTY: false })
  progress.say('1 KiB put at 1')
  progress.advance(0.5)
  progress.end()
  expect(text()).toBe('1 KiB put at 1\n')
})
