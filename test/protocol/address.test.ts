import { expect, test } from 'vitest'
import { formatAddress, parseAddress, splitAddress } from '../../protocol/transport/address.ts'

test.each([
  ['127.0.0.1', 7400, '127.0.0.1:7400'],
  ['::1', 7400, '[::1]:7400'],
  ['fd00::a:1', 1, '[fd00::a:1]:1'],
  ['fe80::1%eth0', 80, '[fe80::1%eth0]:80'],
  ['node-1.mayfly.svc', 65_535, 'node-1.mayfly.svc:65535'],
])('the address of %s, port %i, is printed as %s and parsed again', (host, port, address) => {
  expect(formatAddress(host, port)).toBe(address)
  expect(parseAddress(address)).toEqual({ host, port })
})

test.each([
  'fd00::1:7000',
  '::1',
  '[::1]',
  '[host]:1',
  '[::1:7000',
  'host',
  'host:',
  ':80',
  'a b:80',
  'host:65536',
  'http://host:80',
  '[]:1',
  '',
])("'%s' is refused as an address", (text) => {
  expect(splitAddress(text)).toBeNull()
  expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
})

test('port 0 can be listened at and not connected to', () => {
  expect(splitAddress('[::]:0')).toEqual({ host: '::', port: 0 })
  expect(() => parseAddress('127.0.0.1:0')).toThrow('with an IPv6 address in brackets')
})
