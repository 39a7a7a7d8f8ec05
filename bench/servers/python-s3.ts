import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDir, findOnPath } from './path.ts'

/** Exact, so that the same clients are tested everywhere; the boto3 is the newest that fits this s3fs. */
const PACKAGES = ['s3fs==2026.9.0', 'boto3==1.43.117', 'lithops==3.8.0']
const MARKER = 'installed'

/** Path of a Python with boto3, s3fs and Lithops, as `installPythonS3` has installed it; null if it has not. */
export function findPythonS3(): string | null {
  // The marker is written last: a part of an installation does not count.
  return existsSync(join(environment(), MARKER)) ? join(environment(), 'bin', 'python') : null
}

export const pythonS3Missing =
  'boto3, s3fs and Lithops are missing: `npm run peers` installs them, which needs python3 (with venv) on the PATH'

/** Installs them into a virtual environment in the user's cache, once; resolves with its Python. */
export async function installPythonS3(say: (line: string) => void): Promise<string> {
  const found = findPythonS3()
  if (found !== null) return found
  const python = findOnPath('python3')
  if (python === null) throw new Error(pythonS3Missing)
  const dir = environment()
  say(`installing ${PACKAGES.join(', ')} into ${dir}`)
  const run = promisify(execFile)
  await run(python, ['-m', 'venv', '--clear', dir])
  await run(join(dir, 'bin', 'pip'), ['install', '--quiet', ...PACKAGES])
  await writeFile(join(dir, MARKER), PACKAGES.join('\n'))
  return join(dir, 'bin', 'python')
}

function environment(): string {
  return join(cacheDir(process.env), 'python-s3-2026.9.0-3.8.0')
}
