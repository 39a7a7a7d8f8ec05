import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { codeOf } from '../../../service/process/system-error.ts'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface PageFile {
  readonly type: string
  readonly bytes: Buffer
  readonly gzipped: Buffer
  readonly etag: string
}

/** The built page, read once: `index.html`, and the files in `assets/` by name. Null if the page was not built. */
export interface PageFiles {
  readonly index: PageFile
  readonly assets: ReadonlyMap<string, PageFile>
}

/** Content security policy: the page loads only its own files and connects only to its own server. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

export function readPageFiles(dir: string): PageFiles | null {
  try {
    const assets = readdirSync(join(dir, 'assets')).filter((name) => extname(name) in types)
    return {
      index: readPageFile(join(dir, 'index.html')),
      assets: new Map(assets.map((name) => [name, readPageFile(join(dir, 'assets', name))])),
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

function readPageFile(path: string): PageFile {
  const bytes = readFileSync(path)
  let gzipped: Buffer | null = null
  return {
    type: types[extname(path)] ?? 'application/octet-stream',
    bytes,
    // At the first request, so that the start need not wait for it.
    get gzipped() {
      gzipped ??= gzipSync(bytes)
      return gzipped
    },
    etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
  }
}
