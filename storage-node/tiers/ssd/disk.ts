import { close, mkdir, open, read, rm, writev } from 'node:fs'
import { promisify } from 'node:util'
import { type ErrorCode, MayflyError } from '../../../protocol/errors.ts'
import { codeOf, isDiskFull } from '../../../service/process/system-error.ts'

/** File operations by descriptor, off the event loop. What the system refuses comes as a `MayflyError`. */

const openFile = promisify(open)
const closeFile = promisify(close)
const makeDirectory = promisify(mkdir)
const removeAll = promisify(rm)

/** Below this a piece of Node's shared pool is cheaper than memory of its own. */
const POOLED_BYTES_MAX = 4096

/** With the folders above it. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeDirectory(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw writeFailed(error)
  }
}

/** With all that is in it; one that is not there is no error. */
export async function removeFolder(path: string): Promise<void> {
  try {
    await removeAll(path, { recursive: true, force: true })
  } catch (error) {
    throw failed('UNAVAILABLE', 'The SSD tier cannot remove its files', error)
  }
}

/** A new file, or an old one emptied, for reading and writing by its owner alone. */
export async function createFile(path: string): Promise<number> {
  try {
    return await openFile(path, 'w+', 0o600)
  } catch (error) {
    throw writeFailed(error)
  }
}

/** Writes all of the buffers, one behind the other. */
export async function writeAt(fd: number, buffers: readonly Buffer[], offset: number): Promise<void> {
  let rest = buffers.filter(({ length }) => length > 0)
  for (let at = offset; rest.length > 0; ) {
    const written = await writeSome(fd, rest, at)
    at += written
    rest = behind(rest, written)
  }
}

/** As many bytes as the file has there, at most `length`. */
export function readAt(fd: number, { offset, length }: { offset: number; length: number }): Promise<Buffer> {
  const bytes = length < POOLED_BYTES_MAX ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)
  let filled = 0
  return new Promise((resolve, reject) => {
    readOn()
    function readOn(): void {
      read(fd, bytes, filled, length - filled, offset + filled, (error, count) => {
        if (error !== null) return reject(failed('OBJECT_LOST', 'The SSD tier cannot read its record', error))
        filled += count
        if (count === 0 || filled === length) resolve(bytes.subarray(0, filled))
        else readOn()
      })
    }
  })
}

/** Closes and removes a file, in this order or the other: nobody else knows it. One that is gone is no error. */
export async function removeFile(fd: number, path: string): Promise<void> {
  try {
    await Promise.all([closeFile(fd), removeAll(path, { force: true })])
  } catch (error) {
    throw failed('UNAVAILABLE', 'The SSD tier cannot remove its files', error)
  }
}

function writeSome(fd: number, buffers: readonly Buffer[], offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, buffers, offset, (error, written) => {
      if (error === null) resolve(written)
      else reject(writeFailed(error))
    })
  })
}

function behind(buffers: readonly Buffer[], written: number): Buffer[] {
  let left = written
  return buffers.flatMap((buffer) => {
    const skipped = Math.min(left, buffer.length)
    left -= skipped
    return skipped === buffer.length ? [] : [buffer.subarray(skipped)]
  })
}

function writeFailed(error: unknown): MayflyError {
  if (isDiskFull(error)) return failed('CAPACITY_EXCEEDED', 'The disk of the SSD tier is full', error)
  return failed('UNAVAILABLE', 'The SSD tier cannot write', error)
}

function failed(code: ErrorCode, what: string, cause: unknown): MayflyError {
  return new MayflyError(code, `${what} (${codeOf(cause)})`, { cause })
}
