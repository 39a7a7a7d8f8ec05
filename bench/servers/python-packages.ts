import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDir, findOnPath } from './path.ts'

/** Packages of Python with exact versions, so that the same ones are tested everywhere. Each has a virtual environment in the user's cache. */
interface PythonPackages {
  /** The folder of the environment, named after what decides its content. */
  readonly folder: string
  readonly packages: readonly string[]
}

const packages = {
  schemathesis: {
    folder: 'schemathesis-4.32.5',
    packages: ['schemathesis==4.32.5'],
  },
  // The boto3 is the newest that fits this s3fs.
  pythonS3: {
    folder: 'python-s3-2026.9.0-3.8.0',
    packages: ['s3fs==2026.9.0', 'boto3==1.43.117', 'lithops==3.8.0'],
  },
} satisfies Record<string, PythonPackages>

export type PythonEnvironment = keyof typeof packages

/** Written last, so that a part of an installation does not count. */
const MARKER = 'installed'

/**
 * Path of the environment's `python`; null if `installPython` has not installed it, or if the Python it was made with
 * is gone. The scripts beside it hold the path where they were installed, and fail once the cache has moved: run
 * `python -m` instead.
 */
export function findPython(name: PythonEnvironment): string | null {
  const dir = join(cacheDir(process.env), packages[name].folder)
  const python = join(dir, 'bin', 'python')
  return existsSync(join(dir, MARKER)) && existsSync(python) ? python : null
}

export function pythonMissing(name: PythonEnvironment): string {
  const wanted = packages[name].packages.join(' and ')
  return `missing: ${wanted}; \`npm run peers\` installs that, which needs python3 (with venv) on the PATH`
}

/** Installs the packages into a virtual environment, once; resolves with the path of its `python`. */
export async function installPython(name: PythonEnvironment, say: (line: string) => void): Promise<string> {
  const found = findPython(name)
  if (found !== null) return found
  const python = findOnPath('python3')
  if (python === null) throw new Error(pythonMissing(name))
  const { folder, packages: wanted } = packages[name]
  const dir = join(cacheDir(process.env), folder)
  say(`installing ${wanted.join(' and ')} into ${dir}`)
  const run = promisify(execFile)
  await run(python, ['-m', 'venv', '--clear', dir])
  const installed = join(dir, 'bin', 'python')
  await run(installed, ['-m', 'pip', 'install', '--quiet', ...wanted])
  await writeFile(join(dir, MARKER), wanted.join('\n'))
  return installed
}
