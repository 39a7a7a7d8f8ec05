import { expect, test } from 'vitest'
import { isAsShown } from './printed.ts'

test.each([
  ['job j-abc2 on n-xyz3: 12.5 KiB', 'job j-zzzz on n-yyyy: 3 B', true],
  ['a line\n  and another', 'a line and another', true],
  ['first\nsecond\nthird', 'first … third', true],
  ['0 objects', '1 objects', true],
  ['0 nodes', '0 objects', false],
  ['job j-abc2', 'node n-abc2', false],
  ['result/0 {"/":4}', 'result/0 {"/login":4}', false],
])('what is printed, %j, is compared with what is shown, %j', (printed, shown, same) => {
  expect(isAsShown(printed, shown)).toBe(same)
})
