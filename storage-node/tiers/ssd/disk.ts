import { close, mkdir, open, read, rm, writev } from 'node:fs'
import { promisify } from 'node:util'
import { type ErrorCode, MayflyError } from '../../../protocol/errors.ts'
import { codeOf, isDiskFull } from '../../../service/process/system-error.ts'

/** File operations by descriptor, off the event loop. System errors become `MayflyError`. */

const openFile = promisify(open)
const closeFile = promisify(close)
const makeDirectory = promisify(mkdir)
const removeAll = promisify(rm)

/** Smaller reads use Node's shared buffer pool, which is cheaper than an allocation. */
const POOLED_BYTES_MAX = 4096

/** Creates parent folders too. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeDirectory(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw writeFailed(error)
  }
}

/** Removes its content too. A missing folder is no error. */
export async function removeFolder(path: string): Promise<void> {
  try {
    await removeAll(path, { recursive: true, force: true })
  } catch (error) {
    throw failed('UNAVAILABLE', 'The SSD tier cannot remove its files', error)
  }
}

/** Creates or truncates a file that only its owner may read and write. */
export async function createFile(path: string): Promise<number> {
  try {
    return await openFile(path, 'w+', 0o600)
  } catch (error) {
    throw writeFailed(error)
  }
}

/** Writes all buffers in sequence. */
export async function writeAt(fd: number, buffers: readonly Buffer[], offset: number): Promise<void> {
  let rest = buffers.filter(({ length }) => length > 0)
  for (let at = offset; rest.length > 0; ) {
    const written = await writeSome(fd, rest, at)
    at += written
    rest = behind(rest, written)
  }
}

/** Up to `length` bytes; fewer at the end of the file. */
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

/** Closes and removes a file that nobody else uses. A missing file is no error. */
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
