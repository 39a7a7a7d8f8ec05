import { expect, test } from 'vitest'
import { formatBytes, formatTable, printable } from '../../cli/terminal/table.ts'

test('columns are as wide as their widest cell, and no line ends in spaces', () => {
  const columns = [
    { heading: 'NAME', align: 'left' },
    { heading: 'N', align: 'right' },
    { heading: 'X', align: 'left' },
  ] as const
  expect(
    formatTable(columns, [
      ['a', '10', ''],
      ['longer', '9', 'y'],
    ]).split('\n'),
  ).toEqual(['NAME     N  X', 'a       10', 'longer   9  y'])
})

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [150 * 2 ** 20, '150 MiB'],
  [2 ** 40, '1.0 TiB'],
  [2 ** 60, '1024 PiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

test('control characters become visible, other text stays', () => {
  expect(printable('a\nb\u0007é→')).toBe('a\\x0ab\\x07é→')
})
