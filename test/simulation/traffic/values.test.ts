import { expect, test } from 'vitest'
import { makeValue, readValue } from './values.ts'

const home = { job: 'red', bucket: 'default', key: 'a' }

test('a value that was appended to is read as all its parts', () => {
  const bytes = Buffer.concat([makeValue(home, 1, 70), makeValue(home, 2, 300)])
  expect(readValue(home, bytes)).toEqual({ name: '1:70+2:300' })
})

test('a byte that was changed, cut off, or comes from another job, key or object is seen', () => {
  const value = makeValue(home, 1, 300)
  const changed = Buffer.from(value)
  changed[299] = (changed[299] ?? 0) ^ 1
  const mixed = Buffer.concat([value.subarray(0, 150), makeValue(home, 2, 300).subarray(150)])
  for (const wrong of [
    changed,
    value.subarray(0, 299),
    mixed,
    Buffer.alloc(0),
    makeValue({ ...home, job: 'blue' }, 1, 300),
  ]) {
    expect(readValue(home, wrong)).toHaveProperty('wrong')
  }
})
