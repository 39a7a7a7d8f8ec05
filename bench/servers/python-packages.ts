import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDir, findOnPath } from './path.ts'

/** Programs of Python with exact versions, so that the same ones are tested everywhere. Each has a virtual environment in the user's cache. */
interface PythonPackages {
  /** The folder of the environment, named after what decides its content. */
  readonly folder: string
  readonly packages: readonly string[]
  /** The program of the environment that tests run. */
  readonly program: string
}

const packages = {
  schemathesis: {
    folder: 'schemathesis-4.32.5',
    packages: ['schemathesis==4.32.5'],
    program: 'schemathesis',
  },
  // The boto3 is the newest that fits this s3fs.
  pythonS3: {
    folder: 'python-s3-2026.9.0-3.8.0',
    packages: ['s3fs==2026.9.0', 'boto3==1.43.117', 'lithops==3.8.0'],
    program: 'python',
  },
} satisfies Record<string, PythonPackages>

export type PythonProgram = keyof typeof packages

/** Written last, so that a part of an installation does not count. */
const MARKER = 'installed'

/** Path of the program as `installPython` has installed it; null if it has not. */
export function findPython(name: PythonProgram): string | null {
  const { folder, program } = packages[name]
  const dir = join(cacheDir(process.env), folder)
  return existsSync(join(dir, MARKER)) ? join(dir, 'bin', program) : null
}

export function pythonMissing(name: PythonProgram): string {
  const wanted = packages[name].packages.join(' and ')
  return `missing: ${wanted}; \`npm run peers\` installs that, which needs python3 (with venv) on the PATH`
}

/** Installs the packages into a virtual environment, once; resolves with the path of the program. */
export async function installPython(name: PythonProgram, say: (line: string) => void): Promise<string> {
  const found = findPython(name)
  if (found !== null) return found
  const python = findOnPath('python3')
  if (python === null) throw new Error(pythonMissing(name))
  const { folder, program, packages: wanted } = packages[name]
  const dir = join(cacheDir(process.env), folder)
  say(`installing ${wanted.join(' and ')} into ${dir}`)
  const run = promisify(execFile)
  await run(python, ['-m', 'venv', '--clear', dir])
  await run(join(dir, 'bin', 'pip'), ['install', '--quiet', ...wanted])
  await writeFile(join(dir, MARKER), wanted.join('\n'))
  return join(dir, 'bin', program)
}
